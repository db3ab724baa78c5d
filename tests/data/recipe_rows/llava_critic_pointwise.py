"""`lmms-lab/LLaVA-Critic-113k`, config pointwise: one answer and a score out of 100, judgements of two answers among them."""

from row_files import stored

ASKED = "<image>\nScore the response out of 100.\nQuestion: [{}]\nThe LMM response: [{}]\nASSISTANT:\n"
CAPTION = "<image>\nRate the caption.\nText Caption: {}\nFrom 0 to 100, how well does it describe the image?"
BENCH = "<image>\n[Question]\n{}\n\n[Assistant 1]\n{}\n\n[End of Assistant 1]\n\n[Assistant 2]\n{}\n\n[End of Assistant 2]"


def row(number, asked, said, picture=0):
    talk = [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]
    return {"id": f"critic-{number}", "source": "svit-detail", "conversations": talk, "image": stored(picture)}


ROWS = [
    row(0, ASKED.format("What?", "A cat."), "Score: 80. It is one."),
    row(1, CAPTION.format("A cat sleeps\non a mat."), "It is right.\nFinal Score: 90"),
    row(2, ASKED.format("What?", "A dog."), "Score: 15"),
    # The same question about another picture is another group.
    row(3, ASKED.format("What?", "A cat."), "Score: 15", picture=1),
    row(4, CAPTION.format("A dog."), "It starts at 100, but ends lower. Score: 10. Final Score: 20"),
    row(5, BENCH.format("Where?", "At sea.", "In town."), "3 9\nThe second."),
    row(6, ASKED.format("What?", "A lynx."), "Score: 60"),
    row(7, ASKED.format("Why?", "For fun."), "Score: 60"),
    row(8, ASKED.format("Why?", "For fun."), "No score."),
    row(9, ASKED.format("Why?", "For fun."), "Score: 600"),
]
ROWS_FILE = "pointwise/train-00000-of-00001.parquet"
PATH = "."
EXPECTED = {
    "used": 3,
    "dropped": {
        "joined with the first row of its group": 3,
        "the only answer to its question": 2,
        "the judge was asked in an unknown form": 2,
    },
}


def check(comparisons):
    """Three answers with their scores, two captions, and the judgement of two."""
    three, captions, two = comparisons
    assert three.responses == ("A cat.", "A dog.", "A lynx.") and three.scores == (80.0, 15.0, 60.0)
    assert captions.responses == ("A cat sleeps\non a mat.", "A dog.") and captions.scores == (90.0, 20.0)
    assert captions.messages[0]["content"][1]["text"] == "Describe this image in detail."
    assert two.responses == ("At sea.", "In town.") and two.scores == (3.0, 9.0)

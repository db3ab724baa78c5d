"""`lmms-lab/LLaVA-Critic-113k`, config pairwise: judge's questions and replies as conversations, three forms."""

from row_files import stored

ASKED = (
    "<image>\nGiven an image and a corresponding question, judge the answers.\nQuestion: [{}]\n{}: [{}]\n{}: [{}]\nASSISTANT:\n"
)
ARENA = (
    "<image>\nPlease act as an impartial judge.\n<|User Prompt|>\n{}\n\n<|The Start of Assistant A's Answer|>\n{}\n"
    "<|The End of Assistant A's Answer|>\n\n<|The Start of Assistant B's Answer|>\n{}\n<|The End of Assistant B's Answer|>"
)
BENCH = (
    "<image>\n[Context]\nA street.\n\n[Question]\n{}\n\n[Assistant 1]\n{}\n\n[End of Assistant 1]\n\n[Assistant 2]\n{}\n\n"
    "[End of Assistant 2]\n\n[System]\nRate the two."
)
FIRST, SECOND = "The first response", "The second response"
ANSWERS = ("What is it?", FIRST, "A [red] car.", SECOND, "A [blue] bus.")


def row(number, asked, said):
    talk = [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]
    return {"id": f"critic-{number}", "source": "vlfeedback", "conversations": talk, "image": stored()}


ROWS = [
    row(0, ASKED.format(*ANSWERS), "The better response: [first]. It is right."),
    row(1, ASKED.format("What?", "Response 1", "No.", "Response 2", "Yes."), "The better response: [2]. Because it is."),
    row(2, ASKED.format("What?", "Response A", "No.", "Response B", "Yes."), "The better response: [B]"),
    row(3, ASKED.format(*ANSWERS), "Both responses are equally good."),
    row(4, ASKED.format(*ANSWERS), "I cannot tell."),
    row(5, ASKED.format("What?", FIRST, "Same.", SECOND, "Same. "), "The better response: [first]"),
    row(6, ARENA.format("Why?", "For fun.", "No idea."), "[[B>A]] would be wrong. My final verdict is: [[A>>B]]"),
    row(7, ARENA.format("Why?", "For fun.", "To work."), "Not [[A>B]]; final: [[B>A]]"),
    row(8, ARENA.format("Why?", "For fun.", "To work."), "My final verdict is tie: [[A=B]]"),
    row(9, BENCH.format("Where?", "At sea.", "In town."), "4 8.5\nThe second is right."),
    row(10, BENCH.format("Where?", "At sea.", "In town."), "7 7\nBoth are fine."),
    row(11, BENCH.format("Where?", "At sea.", "In town."), "The first gets 7, the second 8."),
    row(12, ASKED.format("What?", "Response A", "No.", "Response B", "Yes."), "The better response: [A]"),
    row(13, ASKED.format(*ANSWERS), "The better response: [second]"),
    row(14, "<image>\nDescribe the picture.", "A street."),
]
ROWS_FILE = "pairwise/train-00000-of-00001.parquet"
FILES = {"pointwise/train-00000-of-00001.parquet": [row(99, ASKED.format(*ANSWERS), "The better response: [first]")]}
PATH = "."
EXPECTED = {
    "used": 8,
    "dropped": {
        "tie": 3,
        "the judge's verdict cannot be read": 2,
        "the judge was asked in an unknown form": 1,
        "chosen equals rejected": 1,
    },
}


def check(comparisons):
    """The better answer on either side, and the two scores of LLaVA-Bench; the other config is not read."""
    better = {item.id: item.responses[item.pairs[0].better] for item in comparisons}
    assert better == {
        "critic-0": "A [red] car.",
        "critic-1": "Yes.",
        "critic-2": "Yes.",
        "critic-6": "For fun.",
        "critic-7": "To work.",
        "critic-9": "In town.",
        "critic-12": "No.",
        "critic-13": "A [blue] bus.",
    }
    assert comparisons[5].scores == (4.0, 8.5) and comparisons[0].category == "vlfeedback"
    texts = [item.messages[0]["content"][1]["text"] for item in comparisons]
    assert texts == ["What is it?", "What?", "What?", "Why?", "Why?", "Where?", "What?", "What is it?"]

"""Reviews of LLaVA-Bench with the files that they are joined with by question."""


def review(number, first, second, text=None):
    content = f"{first} {second}\nThe first is fuller." if text is None else text
    return {"question_id": number, "content": content, "tuple": [first, second]}


ROWS = [review(0, 8.0, 6.5), review(1, 5.0, 9.0), review(2, 7.0, 7.0), review(3, 8.0, 2.0, text="2 8\nNo.")]
ROWS_FILE = "LLaVA_wild_Eval_InternLM_XComposer_VL.jsonl"
QUESTION = {"image": "001.jpg", "text": "What is shown?", "category": "conv"}
FILES = {
    "questions.jsonl": [QUESTION | {"question_id": number} for number in range(4)],
    "answers_gpt4.jsonl": [{"question_id": number, "text": f"A harbour, {number} boats."} for number in range(4)],
    "LLaVA_wild_InternLM_XComposer_VL.jsonl": [{"question_id": number, "text": " A town."} for number in range(4)],
}
PATH = "."
EXPECTED = {"used": 2, "dropped": {"the judge scored both answers the same": 1}, "problems": {"judge contradicts": 1}}


def check(comparisons):
    """The judge's higher number wins, and no answer begins with the space that tells the models apart."""
    assert [item.pairs[0].better for item in comparisons] == [0, 1] and comparisons[0].responses[1] == "A town."

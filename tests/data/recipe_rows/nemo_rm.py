"""Rows of NeMo-Aligner: a pair with a system turn, a pair of several turns, a pair whose prompts differ, a row left over."""


def text(*turns, system=""):
    said = "".join(f"<extra_id_1>{('User', 'Assistant')[number % 2]}\n{turn}\n" for number, turn in enumerate(turns))
    return {"text": f"<extra_id_0>System\n{system}\n{said}<extra_id_2>", "label": [-100.0, 4.0, 4.0]}


ROWS = [
    text("Hi", "Hello.", system="Be brief."),
    text("Hi", "Hello, and so on.", system="Be brief."),
    text("Hi", "Hello.", "A colour?", "Red."),
    text("Hi", "Hello.", "A colour?", "Reddish."),
    text("One?", "Yes."),
    text("Two?", "No."),
    text("Alone?", "Yes."),
]
EXPECTED = {"used": 2, "problems": {"prompts differ": 1, "row without a partner": 1}}


def check(comparisons):
    """Turns without their marks; the first row of a pair is the better."""
    first, second = comparisons
    assert [turn["role"] for turn in first.messages] == ["system", "user"] and first.responses == ("Hello.", "Hello, and so on.")
    assert [turn["role"] for turn in second.messages] == ["user", "assistant", "user"] and second.responses == (
        "Red.",
        "Reddish.",
    )

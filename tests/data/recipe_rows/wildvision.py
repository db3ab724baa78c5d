"""`WildVision/wildvision-internal-data`, config battle: two conversations, a vote, an embedded picture."""

from row_files import stored


def talk(*turns):
    return [{"role": ("user", "assistant")[index % 2], "content": text} for index, text in enumerate(turns)]


def row(number, winner, first, second):
    return {
        "question_id": f"q{number}",
        "model_a": "llava-34b",
        "model_b": "gpt-4-vision",
        "conversation_a": first,
        "conversation_b": second,
        "language": "English",
        "image": stored(),
        "turn": len(first) // 2,
        "anony": True,
        "winner": winner,
        "tstamp": 1707000000.5,
        "judge": "arena_user",
        "domain": "Natural",
    }


CAT, DOG = talk("What?", "A cat."), talk("What?", "A dog.")
ROWS = [
    row(0, "model_a", CAT, DOG),
    row(1, "model_b", CAT, talk("What?", "A lynx.")),
    row(2, "tie", CAT, DOG),
    row(3, "tie (bothbad)", CAT, DOG),
    row(4, "bothbad", CAT, DOG),
    row(5, "model_a", talk("What?", "A cat.", "Sure?", "Yes."), talk("What?", "A dog.", "Sure?", "No.")),
    row(6, "model_a", talk("What?", "A cat.", "Sure?", "Yes."), talk("What?", "A cat.", "Sure?", "No.")),
    row(7, "model_b", CAT, talk("What?", " A cat.")),
    row(8, "model_a", talk("What?", "A cat.", "Sure?"), talk("What?", "A cat.", "Sure?")),
    row(9, None, CAT, DOG),
]
ROWS_FILE = "battle/test-00000-of-00001.parquet"
PATH = "."
EXPECTED = {
    "used": 3,
    "dropped": {
        "tie": 3,
        "earlier answers differ": 1,
        "chosen equals rejected": 1,
        "a conversation does not end with an answer": 1,
        "no vote": 1,
    },
}


def check(comparisons):
    """The winner is the better one on either side."""
    assert [item.id for item in comparisons] == ["q0", "q1", "q6"]
    assert [item.responses[item.pairs[0].better] for item in comparisons] == ["A cat.", "A lynx.", "Yes."]
    assert [turn["role"] for turn in comparisons[2].messages] == ["user", "assistant", "user"]
    assert comparisons[0].category == "Natural" and comparisons[0].meta["model_b"] == "gpt-4-vision"

"""Transcripts as `Anthropic/hh-rlhf` has them."""

START = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Name a colour.\n\nAssistant:"
ROWS = [
    {"chosen": START + " Red.", "rejected": START + " Red, I think."},
    {"chosen": START + " Red.", "rejected": START + " "},
    {"chosen": START + " Red.\n\nHuman: Why?\n\nAssistant: No idea.", "rejected": START + " Blue."},
    {"chosen": "\n\nHuman: A", "rejected": "\n\nHuman: B"},
    {"chosen": START + " Red.", "rejected": "Blue."},
]
EXPECTED = {
    "used": 1,
    "dropped": {
        "diverges before the last answer": 1,
        "empty answer": 1,
        "the transcripts share no answer's beginning": 1,
    },
    "problems": {"not a transcript": 1},
}


def check(comparisons):
    """The prompt is what both share before their last answer."""
    assert [turn["role"] for turn in comparisons[0].messages] == ["user", "assistant", "user"]
    assert comparisons[0].responses == ("Red.", "Red, I think.")

"""Conversations as `allenai/tulu-3-IF-augmented-on-policy-70b` has them; `prompt` is the last text of the user alone."""

from recipe_texts import order, pair, said, talk

SYSTEM = [{"content": "Be brief.", "role": "system"}]
ROWS = [
    pair(talk("Name a colour.", "Red."), talk("Name a colour.", "Blue!"), id="if_1"),
    pair(SYSTEM + talk("Hi", "Hello", "Bye", "Bye."), SYSTEM + talk("Hi", "Hello", "Bye", "So long."), id="if_2"),
    pair(talk("Q", "same "), talk("Q", "same"), id="if_3"),
    pair(talk("Q", "a"), talk("Q", ""), id="if_4"),
    pair(talk("Q", "a"), talk("Q?", "b"), id="if_5"),
    pair(talk("Write an <image> tag", "a"), talk("Write an <image> tag", "b"), id="if_6"),
    pair(talk("Q", "a", "more"), talk("Q", "b", "more"), id="if_7"),
    pair(talk(" ", "a"), talk(" ", "b"), id="if_8"),
    {"id": "if_9", "prompt": "Q", "chosen": "a", "rejected": "b"},
]
EXPECTED = {
    "used": 2,
    "dropped": {
        "a conversation without an answer at its end": 1,
        "chosen equals rejected": 1,
        "empty answer": 1,
        "empty prompt": 1,
        "the prompt holds the text <image>": 1,
        "the prompts of chosen and rejected differ": 1,
    },
    "problems": {"not a conversation": 1},
}


def check(comparisons):
    """All turns but the last are the prompt."""
    first, second = comparisons
    assert (first.id, order(first)) == ("if_1", [("Red.", "Blue!")])
    assert said(second) == [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
    assert order(second) == [("Bye.", "So long.")]

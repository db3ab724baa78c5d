"""Completions as `openbmb/UltraFeedback` has them: ratings as texts, some "N/A", and the 10 that was a 1."""

from recipe_texts import completion, order, ultra

ROWS = [
    ultra(completion("a", 7.5), completion("b", 6.5, "5", "N/A", "4", "3"), completion("c", 7.5), completion("d", 2.0)),
    # A mean rating of 1.5 is the 1 that an early release wrote as 10; 10 with high ratings is a 10.
    ultra(completion("a", 10.0, "1", "2", "2", "1"), completion("b", 5.0), completion("c", 10.0, "5", "5", "5", "4")),
    # An empty text, a missing score, and a text given twice (4 and 8, so 6).
    ultra(completion("", 9.0), completion("b", None), completion("c ", 4.0), completion("c", 8.0), completion("d", 7.0)),
    ultra(completion("a", 5.0), completion("b", 5.0)),
    ultra(completion("a", 5.0)),
    ultra(completion("a", 1.0), completion("b", 5.0), instruction="<image>"),
    ultra(completion("a", 1.0), completion("b", 5.0)) | {"completions": None},
]
EXPECTED = {
    "used": 3,
    "dropped": {"all responses tied": 1, "fewer than two rated responses": 1, "the prompt holds the text <image>": 1},
    "problems": {"wrong type": 1},
}


def check(comparisons):
    """One comparison of all completions; equal scores make no pair."""
    four, repaired, merged = comparisons
    assert four.responses == ("a", "b", "c", "d") and four.scores == (7.5, 6.5, 7.5, 2.0) and four.category == "sharegpt"
    assert order(four) == [("a", "b"), ("a", "d"), ("b", "d"), ("c", "b"), ("c", "d")] and four.ties == ((0, 2),)
    assert repaired.scores == (1.0, 5.0, 10.0) and merged.responses == ("c ", "d") and merged.scores == (6.0, 7.0)

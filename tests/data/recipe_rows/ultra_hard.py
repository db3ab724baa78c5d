"""Completions as `openbmb/UltraFeedback` has them, of which the best and the worst are taken."""

from recipe_texts import completion, order, ultra

ROWS = [
    ultra(completion("a", 3.0), completion("b", 8.0), completion("c", 1.0), completion("d", 7.0)),
    ultra(completion("best", 9.0), completion("also best", 9.0), completion("worst", 2.0)),
    ultra(completion("also best", 9.0), completion("worst", 2.0), completion("best", 9.0)),
    ultra(completion("a", 5.0), completion("b", 5.0), completion("c", 5.0)),
]
EXPECTED = {"used": 3, "dropped": {"all responses tied": 1}}


def check(comparisons):
    """Of two that are equally good, the text decides and not the place in the row."""
    assert order(comparisons[0]) == [("b", "c")] and comparisons[0].scores == (8.0, 1.0)
    assert all(item.num_responses == 2 for item in comparisons) and order(comparisons[1]) == order(comparisons[2])

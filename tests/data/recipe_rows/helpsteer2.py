"""Ratings as `nvidia/HelpSteer2` has them: consecutive rows share a prompt, turns stand apart by <extra_id_1>."""

from recipe_texts import order, said, steer

TURNS = "Hi\n<extra_id_1>Assistant\nHello!\n<extra_id_1>User\nAnd now?"
# By the card's weights: 1.95 + 3.2 + 1.8 + 1.1 - 0.4 = 7.65; 0.65 + 1.6 + 1.8 = 4.05; 4 * 2.05 = 8.2.
ROWS = [
    steer("c#", "A language.", 3, 4, 4, 2, 1),
    steer("c#", "No.", 1, 2, 4, 0, 0),
    steer(TURNS, "First.", 0, 0, 0, 0, 0),
    steer(TURNS, "Second.", 4, 4, 4, 4, 4),
    steer("alone", "a", 4, 4, 4, 4, 4),
    steer("tie", "a", 2, 2, 2, 2, 2),
    steer("tie", "b", 2, 2, 2, 2, 2),
    steer("unrated", "a", 1, 1, 1, 1, None),
]
EXPECTED = {
    "used": 2,
    "dropped": {"all responses tied": 1, "fewer than two rated responses": 1},
    "problems": {"rating not a number": 1},
}


def check(comparisons):
    """Two rows are one comparison with weighted sums as scores."""
    first, second = comparisons
    assert first.scores == (7.65, 4.05) and first.responses == ("A language.", "No.")
    assert said(second) == [("user", "Hi"), ("assistant", "Hello!"), ("user", "And now?")]
    assert order(second) == [("Second.", "First.")] and second.scores == (0.0, 8.2)

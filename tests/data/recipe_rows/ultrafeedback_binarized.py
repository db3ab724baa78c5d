"""Pairs as `HuggingFaceH4/ultrafeedback_binarized` has them; `messages` repeats the chosen conversation."""

from recipe_texts import order, pair, talk


def row(name, chosen, rejected):
    scores = {"score_chosen": chosen, "score_rejected": rejected}
    return pair(talk("Q", "a"), talk("Q", "b"), prompt_id=name, messages=talk("Q", "a")) | scores


ROWS = [row("x", 8.5, 7.0), row("y", 6.0, 6.0)]
EXPECTED = {"used": 1, "dropped": {"all responses tied": 1}}


def check(comparisons):
    """One pair with its scores beside it."""
    (item,) = comparisons
    assert item.id == "x" and order(item) == [("a", "b")] and item.meta == {"score_chosen": 8.5, "score_rejected": 7.0}

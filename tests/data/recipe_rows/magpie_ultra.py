"""Answers and scores as `argilla/magpie-ultra-v0.1` has them."""

from recipe_texts import order


def row(score, base, **more):
    texts = {"instruction": "Q", "response": "instruct", "response_base": "base", "intent": "...", "primary_tag": "Math"}
    return texts | {"score": score, "score_base": base} | more


ROWS = [row(0.2, 0.1), row(0.1, 0.2), row(0.2, None), row(0.1, 0.1), row(1, 2, response_base=None, primary_tag=None)]
EXPECTED = {"used": 2, "dropped": {"fewer than two rated responses": 2, "all responses tied": 1}}


def check(comparisons):
    """The scores decide, not the column."""
    usual, other = comparisons
    assert order(usual) == [("instruct", "base")] and order(other) == [("base", "instruct")] and usual.category == "Math"

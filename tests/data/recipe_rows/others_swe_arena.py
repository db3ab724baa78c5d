"""Sessions as `bigcode/swe-arena-preference-5k` has them: [speaker, text] turns of two models, and a vote."""

from recipe_texts import order, said, vote

ASK = ["Human", "Draw a ball."]
A, B = [ASK, ["Assistant", "print(1)"]], [ASK, ["Assistant", "print(2)"]]
MORE = [["Human", "Faster."], ["Assistant", "print(3)"]]
ROWS = [
    vote("vote_model_A", A, B),
    vote("vote_model_B", A, [*B, ["Human", ""]]),
    vote("vote_tie", A, B),
    vote("vote_both_bad", A, B),
    vote("vote_model_A", A + MORE, B + MORE),
    vote("vote_model_A", A, [ASK, ["Assistant", None]]),
    vote("left", A, B),
]
EXPECTED = {
    "used": 2,
    "dropped": {
        "all responses tied": 2,
        "several turns, answered by each model in its own way": 1,
        "a conversation without an answer at its end": 1,
    },
    "problems": {"unknown vote": 1},
}


def check(comparisons):
    """The model with the vote wins."""
    first, second = comparisons
    assert order(first) == [("print(1)", "print(2)")] and order(second) == [("print(2)", "print(1)")]
    assert said(first) == [("user", "Draw a ball.")] and first.id == "s1"

"""Conversations as `llm-blender/Unified-Feedback` has them; posts to be summarized come without an instruction."""

from recipe_texts import order, said, talk


def row(first, second, source="hh-rlhf"):
    conversations = {"conv_A": talk("Q", "a"), "conv_B": talk("Q", "b")}
    return {"id": "u1", "num_turns": 1, "source": source, "conv_A_rating": first, "conv_B_rating": second} | conversations


ROWS = [row(1.0, 0.0), row(0.0, 1.0, "openai/summarize_from_feedback"), row(0.5, 0.5), row(None, 1.0)]
EXPECTED = {"used": 2, "dropped": {"all responses tied": 1, "a rating is no number": 1}}


def check(comparisons):
    """The higher rating wins; the instruction stands before the post."""
    first, summary = comparisons
    assert order(first) == [("a", "b")] and said(first) == [("user", "Q")] and first.category == "hh-rlhf"
    assert order(summary) == [("b", "a")] and said(summary) == [("user", "Summarize this post.\n\nQ")]

"""Conversations as `Skywork/Skywork-Reward-Preference-80K-v0.2` has them, without an id."""

from recipe_texts import order, talk

ROWS = [
    {"chosen": talk("Q", "a"), "rejected": talk("Q", "b"), "source": "offsetbias"},
    {"chosen": talk("Q", "a"), "rejected": talk("Q", None), "source": "magpie_ultra"},
]
EXPECTED = {"used": 1, "dropped": {"empty answer": 1}}


def check(comparisons):
    """The number of the row is its id."""
    (item,) = comparisons
    assert item.id.endswith(":1") and item.category == "offsetbias" and order(item) == [("a", "b")]

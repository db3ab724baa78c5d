"""Conversations as `allenai/llama-3.1-tulu-3-8b-preference-mixture` has them; `source` names the set of each row."""

from recipe_texts import order, pair, talk

ROWS = [
    pair(talk("Q", "a"), talk("Q", "b"), id="m_1", source="ai2-adapt-dev/WildChat-prefs-280824"),
    pair(talk("Q", "a"), talk("Q", " a"), id="m_2", source="ai2-adapt-dev/DaringAnteater-prefs"),
]
EXPECTED = {"used": 1, "dropped": {"chosen equals rejected": 1}}


def check(comparisons):
    """The set is the category; the source is the config's."""
    (item,) = comparisons
    assert item.category == "ai2-adapt-dev/WildChat-prefs-280824" and order(item) == [("a", "b")]

"""Conversations as `allenai/tulu-3-wildchat-ultrafeedback` has them, in files named after its splits."""

from recipe_texts import order, pair, talk

ROWS = [pair(talk("Q", "a"), talk("Q", "b"), id="w1"), pair(talk("Q", "a"), talk("Other", "b"), id="w2")]
ROWS_FILE = "data/wildchat_if-00000-of-00001.parquet"
FILES = {
    "data/wildchat_reused_on_policy_8b-00000-of-00001.parquet": [pair(talk("Q", "c"), talk("Q", "d"), id="w3")],
    "data/wildchat_unused-00000-of-00002.parquet": [pair(talk("Q", "e"), talk("Q", "f"), id="w4")],
}
PATH = "."
EXPECTED = {"used": 2, "dropped": {"the prompts of chosen and rejected differ": 1}}


def check(comparisons):
    """The split of prompts that were not used is left out."""
    assert [(item.id, order(item)) for item in comparisons] == [("w1", [("a", "b")]), ("w3", [("c", "d")])]

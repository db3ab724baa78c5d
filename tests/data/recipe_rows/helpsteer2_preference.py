"""Preferences as `preference/preference.jsonl.gz` of `nvidia/HelpSteer2` has them: signs, ties, and rows of both parts."""

from recipe_texts import order, preference

ROWS = [
    preference(-3),
    preference(2),
    preference(0),
    preference(-100),
    preference(1, response_2="one "),
    preference(1, "val"),
]
EXPECTED = {
    "used": 2,
    "dropped": {
        "all responses tied": 1,
        "chosen equals rejected": 1,
        "no preference from -3 to 3": 1,
        "of another part": 1,
    },
}
ROWS_FILE = "preference/preference.jsonl"
PATH = "."
# The whole repository also holds the ratings, which are another recipe's.
FILES = {"train.jsonl": [{"prompt": "Q", "response": "one", "helpfulness": 1}]}


def check(comparisons):
    """Negative prefers the first answer; no margins."""
    assert [order(item) for item in comparisons] == [[("one", "two")], [("two", "one")]]
    assert all(pair.margin == 0 for item in comparisons for pair in item.pairs)

"""Posts as `stanfordnlp/SHP` has them, in a folder for each subreddit; files end in .json and hold a row in each line."""

from recipe_texts import order, post

ROWS = [post(1), post(0), post(1, human_ref_B="[removed]"), post(1, human_ref_B="Pectinex."), post(1, score_ratio=1.2), post(2)]
EXPECTED = {"used": 3, "dropped": {"a comment was removed": 1, "chosen equals rejected": 1}, "problems": {"unknown label": 1}}


def check(comparisons):
    """1 prefers A, 0 prefers B."""
    first, second, weak = comparisons
    assert order(first) == [("Pectinex.", "Juice.")] and order(second) == [("Juice.", "Pectinex.")]
    assert (first.id, first.category) == ("qt3nxl-hkh25sc-hkh25lp", "askculinary") and weak.meta["score_ratio"] == 1.2

"""Posts as `stanfordnlp/SHP` has them, in a folder for each subreddit; files end in .json and hold a row in each line."""

import json

from recipe_texts import order, post

ROWS = [post(1), post(0), post(1, human_ref_B="[removed]"), post(1, human_ref_B="Pectinex."), post(1, score_ratio=1.2), post(2)]
ROWS_FILE = "askculinary/train.json"
FILES = {
    "askvet/train.json": "".join(json.dumps(post(1, domain="askvet_train", post_id=name)) + "\n" for name in ("b1", "b2")),
    "askculinary/test.json": json.dumps(post(1)),
}
PATH = "."
EXPECTED = {"used": 5, "dropped": {"a comment was removed": 1, "chosen equals rejected": 1}, "problems": {"unknown label": 1}}


def check(comparisons):
    """1 prefers A, 0 prefers B; one split of all folders is read."""
    first, second, weak, vet, _ = comparisons
    assert (vet.id, vet.category) == ("b1-hkh25sc-hkh25lp", "askvet")
    assert order(first) == [("Pectinex.", "Juice.")] and order(second) == [("Juice.", "Pectinex.")]
    assert (first.id, first.category) == ("qt3nxl-hkh25sc-hkh25lp", "askculinary") and weak.meta["score_ratio"] == 1.2

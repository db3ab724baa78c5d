"""`openbmb/RLHF-V-Dataset`: one Parquet file; question and answers are JSON in the column `text`."""

import json

from row_files import stored

TEXT = {"question": "What is on the table?", "chosen": "A cup.", "rejected": "A cup and two spoons."}
ROW = {
    "ds_name": "RLHF-V",
    "image": stored(),
    "text": json.dumps(TEXT),
    "origin_dataset": "VQAv2",
    "origin_split": json.dumps({"model": "Muffin", "type": "detailed_description"}),
    "idx": 0,
    "image_path": "COCO_train2014_000000000009.jpg",
}
ROWS = [
    ROW,
    # Some variants carry the log-probabilities of a reference model.
    ROW | {"idx": 1, "text": json.dumps(TEXT | {"question": "And on the floor?", "ref_win_logp": -1.5})},
    ROW | {"idx": 2, "text": json.dumps(TEXT)[:-2]},
    ROW | {"idx": 3, "text": json.dumps(TEXT | {"rejected": ""})},
]
ROWS_FILE = "RLHF-V-Dataset.parquet"
PATH = "."
EXPECTED = {"used": 2, "dropped": {"text is not a JSON object": 1, "empty answer": 1}}


def check(comparisons):
    """The JSON is taken apart."""
    first, second = comparisons
    assert first.responses == ("A cup.", "A cup and two spoons.") and first.id == "rlhf-v-0"
    assert second.messages[0]["content"][1]["text"] == "And on the floor?"
    assert second.meta["origin_split"]["model"] == "Muffin"

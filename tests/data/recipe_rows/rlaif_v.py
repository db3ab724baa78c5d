"""`openbmb/RLAIF-V-Dataset`: Parquet at the top of the repository, pictures embedded, JSON in `origin_split`."""

import json

from recipe_pictures import picture
from row_files import stored

ROW = {
    "ds_name": "RLAIF-V",
    "image": stored(0, "COCO_train2014_000000000001.jpg"),
    "question": "What colour is the wall?",
    "chosen": "It is red.",
    "rejected": "It is blue.",
    "origin_dataset": "COCO",
    "origin_split": json.dumps({"model": "OmniLMM-12B", "labeler": "OmniLMM-12B", "type": "question_answering"}),
    "idx": 7,
    "image_path": "COCO_train2014_000000000001.jpg",
}
ROWS = [
    ROW,
    ROW | {"idx": 8, "chosen": "Red, as the picture shows.", "rejected": "Green."},
    ROW | {"idx": 9, "chosen": ""},
    ROW | {"idx": 10, "rejected": " It is red. "},
    ROW | {"idx": 11, "question": None},
    ROW | {"idx": 12, "question": "What is a <image> tag for?\n<image>"},
]
ROWS_FILE = "RLAIF-V-Dataset_000.parquet"
PATH = "."
EXPECTED = {
    "used": 2,
    "dropped": {
        "empty answer": 1,
        "chosen equals rejected": 1,
        "empty prompt": 1,
        "image markers do not match the images": 1,
    },
}


def check(comparisons):
    """Both rows are of one group, so that no split parts them."""
    first, second = comparisons
    assert first.responses == ("It is red.", "It is blue.") and [(p.better, p.worse) for p in first.pairs] == [(0, 1)]
    assert first.id == "rlaif-v-7" and first.category == "question_answering"
    assert first.meta["origin_split"]["model"] == "OmniLMM-12B" and first.meta["origin_dataset"] == "COCO"
    assert [part["type"] for part in first.messages[0]["content"]] == ["image", "text"]
    assert first.group == second.group and first.images == (picture(0),)

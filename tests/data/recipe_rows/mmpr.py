"""`OpenGVLab/MMPR-v1.2`: meta.json, annotations per subset, images.zip in three parts.

The annotations are unpacked here; packed ones are in `test_multimodal_recipes.py`.
"""

import json

from recipe_pictures import picture
from row_files import in_parts, zipped

ROW = {"question": "How long is AB?", "chosen": "Final answer: 5", "rejected": "Final answer: 6"}
ROWS = [
    ROW | {"image": "a/1.png"},
    ROW | {"image": "a/1.png", "chosen": "It is 5."},
    ROW | {"image": ["a/1.png", "2.png"], "question": "Image-1: <image>\nImage-2: <image>\nWhich?"},
    ROW | {"image": "/cluster/share/MMPR-v1.2/images/geo170k/2.png", "question": "<image>\nWhat?"},
    ROW | {"image": "/cluster/data/geo170k/2.png"},
    ROW | {"image": "/cluster/else/2.png"},
    ROW | {"image": ["a/1.png", "2.png"], "question": "<image>\nWhich?"},
    ROW | {"image": "a/none.png"},
    ROW | {"image": "a/1.png", "rejected": "Final answer: 5"},
    ROW | {"video": "clips/1"},
]
SUBSETS = {
    "geo170k_prefix_pair": ("images/geo170k", ROWS),
    "text_only": ("images", [ROW]),
    "openbmb/RLAIF-V-Dataset": ("images/RLAIF-V", [ROW | {"image": "1.jpg"}, ROW | {"image": "2.jpg"}]),
}
FILE = {name: f"annotations/{name.rpartition('/')[2]}.jsonl" for name in SUBSETS}
META = {
    name: {
        "root": f"MMPR-v1.2/{root}",
        "annotation": f"MMPR-v1.2/{FILE[name]}",
        "data_augment": False,
        "repeat_time": 1,
        "length": len(rows),
    }
    for name, (root, rows) in SUBSETS.items()
}
IMAGES = {"images/geo170k/a/1.png": picture(1), "images/geo170k/2.png": picture(2), "images/RLAIF-V/1.jpg": picture(3)}
ROWS_FILE = FILE["geo170k_prefix_pair"]
FILES = {"meta.json": json.dumps(META)} | in_parts("images.zip", zipped(IMAGES))
FILES |= {FILE[name]: SUBSETS[name][1] for name in ("text_only", "openbmb/RLAIF-V-Dataset")}
PATH = "."
OPTIONS = {"exclude": ["rlaif_v"]}
EXPECTED = {
    "used": 6,
    "dropped": {
        "excluded: rlaif_v": 2,
        "chosen equals rejected": 1,
        "video without frames": 1,
        "picture outside the release": 1,
        "image markers do not match the images": 1,
        "image missing": 1,
    },
}


def check(comparisons):
    """Pictures lie in the archive of three parts, wherever the row's path pointed."""
    members = [[image.rpartition("::")[2] for image in item.images] for item in comparisons]
    first, second = "images/geo170k/a/1.png", "images/geo170k/2.png"
    assert members == [[first], [first], [first, second], [second], [second], []]
    assert comparisons[0].group == comparisons[1].group and comparisons[0].category == "geo170k_prefix_pair"
    assert [part["type"] for part in comparisons[2].messages[0]["content"]] == ["text", "image", "text", "image", "text"]

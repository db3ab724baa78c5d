"""`PhoenixZ/OmniAlign-V-DPO`: six files of JSON lines beside images.tar."""

from recipe_pictures import picture
from row_files import tarred

ROW = {"image": "images/knowledge/1.png", "prompt": "<image>\nWhat is it for?", "chosen": "For rain.", "rejected": "A thing."}
POSTER = ROW | {"image": "images/poster/2.png"}
ROWS = [ROW, ROW | {"rejected": ""}, ROW | {"image": "images/none.png"}, ROW | {"prompt": "<image>\n"}]
ROWS_FILE = "knowledge.jsonl"
FILES = {
    "poster.jsonl": [POSTER | {"prompt": "Who made it?\n<image>"}, POSTER | {"prompt": "Where?"}],
    "images.tar": tarred({"images/knowledge/1.png": picture(1), "images/poster/2.png": picture(2)}),
}
PATH = "."
EXPECTED = {"used": 3, "dropped": {"empty answer": 1, "image missing": 1, "empty prompt": 1}}


def check(comparisons):
    """The picture stands first, and the file's name is the category."""
    assert [item.category for item in comparisons] == ["knowledge", "poster", "poster"]
    texts = [[part.get("text", part["type"]) for part in item.messages[0]["content"]] for item in comparisons]
    assert texts == [["image", "What is it for?"], ["image", "Who made it?"], ["image", "Where?"]]

"""`ChrisDing1105/MMIF-23k`: `v2/dpo/mmif_23k_4o_qwen2_5.json` beside archives of pictures."""

from recipe_pictures import picture
from row_files import tarred, zipped


def row(question, image, worse="Roses are red."):
    answers = {"chosen": {"from": "gpt", "value": "Four lines,\nno adjectives."}, "rejected": {"from": "gpt", "value": worse}}
    return {"conversations": [{"from": "human", "value": question}], "images": [image]} | answers


ROWS = [
    row("<image>\nWrite a poem.", "cc3m/1.jpg"),
    row("Write a poem.\n<image>", "allava/2.jpg"),
    row("Write a story.", "cc3m/1.jpg"),
    row("Write.", "cc3m/1.jpg", ""),
    row("Write.", "diversity/3.jpg"),
]
ROWS_FILE = "v2/dpo/mmif_23k_4o_qwen2_5.json"
FILES = {"cc3m.zip": zipped({"cc3m/1.jpg": picture(1)}), "allava.tar": tarred({"allava/2.jpg": picture(2)})}
PATH = "."
EXPECTED = {"used": 3, "dropped": {"empty answer": 1, "image missing": 1}}


def check(comparisons):
    """The picture stands where the marker is, or first; it is read out of a zip and a tar."""
    kinds = [[part["type"] for part in item.messages[0]["content"]] for item in comparisons]
    assert kinds == [["image", "text"], ["text", "image"], ["image", "text"]]
    assert [item.images[0].rpartition("/")[2] for item in comparisons] == ["1.jpg", "2.jpg", "1.jpg"]

"""`YiyangAiLab/POVID_preference_data_for_VLLMs`: one JSON array; the pictures are COCO's and come separately."""

from recipe_pictures import picture
from row_files import zipped

NAME = "COCO_train2014_000000000009.jpg"


def talk(*turns):
    return [{"from": ("human", "gpt")[index % 2], "value": text} for index, text in enumerate(turns)]


def row(number, better, worse, image=NAME):
    return {"id": f"00000000000{number}", "image": image, "conversations": better, "rejected_conversations": worse}


ROWS = [
    row(
        0,
        talk("<image>\nWhat is it?", "A tray.", "Big?", "No."),
        talk("<image>\nWhat is it?", "A tray and a phone.", "Big?", "Yes."),
    ),
    row(1, talk("What is it?\n<image>", "A box."), talk("What is it?", "A box and a bag.")),
    row(2, talk("<image>\nWhat?", "Food.", "Which?", "Bread."), talk("<image>\nWhat?", "Food.", "Which?", "Bread and a spider.")),
    row(3, talk("<image>\nWhat?", "Food."), talk("<image>\nWhat?", "Food. ")),
    row(4, talk("<image>\nWhat?", "Food."), talk("<image>\nWhere?", "Nowhere.")),
    row(5, talk("<image>\nWhat?", "Food."), talk("<image>\nWhat?", "")),
    row(6, talk("<image>\nWhat?", "Food."), talk("<image>\nWhat?", "Toys."), "COCO_train2014_000000000010.jpg"),
]
ROWS_FILE = "POVID_preference_data_for_VLLMs_version_1.json"
FILES = {"coco/train2014.zip": zipped({f"train2014/{NAME}": picture()})}
PATH = "."
OPTIONS = {"image_root": "coco"}
EXPECTED = {
    "used": 3,
    "dropped": {"the conversations are the same": 1, "the questions differ": 1, "empty answer": 1, "image missing": 1},
}


def check(comparisons):
    """An injection into a second answer keeps the shared first one in the prompt."""
    answers = [("A tray.", "A tray and a phone."), ("A box.", "A box and a bag."), ("Bread.", "Bread and a spider.")]
    assert [item.responses for item in comparisons] == answers
    assert len(comparisons[0].messages) == 1, "what follows the first answer that differs is cut off"
    assert [turn["role"] for turn in comparisons[2].messages] == ["user", "assistant", "user"]
    assert [part["type"] for part in comparisons[1].messages[0]["content"]] == ["text", "image"]
    assert comparisons[0].images[0].endswith(f"train2014.zip::train2014/{NAME}")

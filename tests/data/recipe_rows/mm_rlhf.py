"""`yifanzhang114/MM-RLHF`: dpo_pairs.jsonl beside data.jsonl and one archive per category; videos are frames."""

from recipe_pictures import picture
from row_files import zipped

ROW = {"id": "1", "prompt": "What is it?", "chosen": "A car.", "rejected": "A bus."}
MCQ, VIDEO = "mcq/073712.png", "video/-77dfCjTbSc"
ROWS = [
    ROW | {"image": MCQ, "chosen_reason": "Right.", "rejected_reason": "Wrong."},
    ROW | {"id": "2", "video": VIDEO},
    ROW | {"id": "3", "image": MCQ, "is_tie": True},
    ROW | {"id": "4"},
    ROW | {"id": "5", "image": "long/none.png"},
    ROW | {"id": "6", "video": "video/none"},
    ROW | {"id": "7", "image": MCQ, "is_tie": False, "prompt": "Which one?\n<image>"},
    ROW | {"id": "8", "image": MCQ, "rejected": "A car."},
]
ROWS_FILE = "dpo_pairs.jsonl"
FILES = {
    "data.jsonl": [{"question": "not read"}],
    "mcq.zip": zipped({MCQ: picture()}),
    "video.zip": zipped({f"{VIDEO}/{number}.jpg": picture(number) for number in range(12)}),
}
PATH = "."
EXPECTED = {"used": 3, "dropped": {"tie": 1, "no image or video": 1, "image missing": 2, "chosen equals rejected": 1}}


def check(comparisons):
    """Ten of the twelve frames in the order of their numbers; the category is the folder."""
    image, video, marked = comparisons
    assert (image.category, video.category) == ("mcq", "video") and image.meta["chosen_reason"] == "Right."
    names = [int(ref.rpartition("/")[2].partition(".")[0]) for ref in video.images]
    assert len(names) == 10 and names == sorted(names) and names[0] == 0 and names[-1] == 11
    assert [part.get("text", part["type"]) for part in marked.messages[0]["content"]] == ["image", "Which one?"]

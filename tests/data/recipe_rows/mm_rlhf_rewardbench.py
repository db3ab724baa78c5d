"""Rows of MM-RLHF-RewardBench: pairs that share an id, an image in an archive, a video as a folder of frames."""


def row(name, answers=("Yes.", "No."), **place):
    reasons = {"chosen_reason": "It is right.", "rejected_reason": "It is wrong."}
    return {"id": name, "prompt": "What is it?", "chosen": answers[0], "rejected": answers[1]} | reasons | place


ROWS = [
    row("073712_1", image="mcq/073712.png"),
    row("073712_1", answers=("Yes!", "No!"), image="mcq/073712.png"),
    row("5", image="safety/5.png"),
    row("-77_2", video="video/-77"),
    row("-78_2", video="video/-78"),
    row("9", image="elsewhere/5.png"),
]
PICTURES = ["mcq/073712.png", "safety.zip::safety/5.png", *(f"video/-77/{frame}.jpg" for frame in range(1, 13))]
OPTIONS = {"num_frames": 3}
EXPECTED = {"used": 4, "dropped": {"image missing": 1}, "problems": {"unknown category": 1}}


def check(comparisons):
    """Category from the path; three of twelve frames: numpy.linspace(0, 11, 3) = 0, 5.5, 11."""
    assert [item.category for item in comparisons] == ["mcq", "mcq", "safety", "video"]
    assert [item.meta["query_id"] for item in comparisons] == ["073712_1", "073712_1", "5", "-77_2"]
    assert comparisons[2].images[0].endswith("safety.zip::safety/5.png")
    assert [ref.rpartition("/")[2] for ref in comparisons[3].images] == ["1.jpg", "6.jpg", "12.jpg"]

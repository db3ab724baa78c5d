"""Rows of Multimodal RewardBench: both labels, the categories that fall in two, null prompts, a missing picture."""


def row(name, category, better="Output1", text="What is shown?", image=None):
    outputs = {"Output1": "A red car.", "Output2": "A blue car."}
    return {"ID": name, "Text": text, "Image": image or "images/one.jpg", "Better": better, "Category": category} | outputs


ROWS = [
    row("visitbench_1", "correctness"),
    row("nocaps_1", "correctness", text=None, better="Output2"),
    row("mathvista_1", "reasoning"),
    row("EMMA-Coding_1", "reasoning"),
    row("PAIRS_1", "safety"),
    row("hateful_1", "safety"),
    row("visitbench_2", "preference", text=None),
    row("visitbench_3", "preference", better="both"),
    row("visitbench_4", "preference", image="images/gone.jpg"),
]
PICTURES = ["images/one.jpg"]
EXPECTED = {"used": 6, "dropped": {"image missing": 1}, "problems": {"prompt missing": 1, "unknown label": 1}}


def check(comparisons):
    """The official wording for a caption that has none, and the official categories."""
    assert [item.pairs[0].better for item in comparisons] == [0, 1, 0, 0, 0, 0]
    assert "detailed caption" in comparisons[1].messages[0]["content"][-1]["text"]
    names = ["correctness", "correctness", "reasoning/math", "reasoning/coding", "safety/bias", "safety/toxicity"]
    assert [item.category for item in comparisons] == names

"""Rows of MMRB2 as the Hub has them: marks in texts, images that an agent drew into its response, a label in small letters."""

from recipe_pictures import picture


def row(name, chosen="A", prompt="Look: <image_0> and <image_1> Which is it?", images=2, drawn=0):
    return {
        "pair_id": name,
        "prompt_source": "blink",
        "prompt_text": prompt,
        "prompt_images": [{"bytes": picture(k), "path": None} for k in range(images)],
        "response_a_text": "The first." + " <image_0> It is clear." * drawn,
        "response_a_images": [{"bytes": picture(9), "path": None}] * drawn,
        "response_b_text": "The second.",
        "response_b_images": [{"bytes": picture(8), "path": None}][:0],
        "chosen": chosen,
    }


ROWS = [
    row("one", drawn=1),
    row("two", chosen="b"),
    row("three", prompt="Which is it?", images=1),
    row("four", chosen="C"),
]
EXPECTED = {"used": 3, "problems": {"unknown label": 1}}


def check(comparisons):
    """Images stand where their marks stood; those of responses are left out and counted."""
    kinds = [[part["type"] for part in item.messages[0]["content"]] for item in comparisons]
    assert kinds == [["text", "image", "text", "image", "text"]] * 2 + [["text", "image"]]
    assert comparisons[0].responses == ("The first.\nIt is clear.", "The second.") and comparisons[1].pairs[0].better == 1
    assert [item.meta["response_images"] for item in comparisons] == [1, 0, 0]

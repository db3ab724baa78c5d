"""Pairs of whole conversations as InternLM-XComposer-2.5-Reward trains on them; one image without a marker, two with."""


def talk(question, answer):
    return [{"from": "human", "value": question}, {"from": "bot", "value": answer}]


def row(number, question, **images):
    return {"id": number, "conversations_a": talk(question, "good"), "conversations_b": talk(question, "bad")} | images


ROWS = [
    row(0, "What is this?", image="./car.png"),
    row(1, "Image1 <ImageHere>; Image2 <ImageHere>; which is red?", image=["car.png", "bus.png"]),
    row(2, "What is two and two?"),
    row(3, "What is this?", image="gone.png"),
]
PICTURES = ["car.png", "bus.png"]
EXPECTED = {"used": 3, "dropped": {"image missing": 1}}


def check(comparisons):
    """Markers stand where the text has them; a better than b."""
    assert [len(item.images) for item in comparisons] == [1, 2, 0]
    assert all(item.responses == ("good", "bad") and item.pairs[0].better == 0 for item in comparisons)
    assert [part["type"] for part in comparisons[1].messages[0]["content"]] == ["text", "image", "text", "image", "text"]

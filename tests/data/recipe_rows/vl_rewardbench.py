"""Rows of VL-RewardBench: an id that stands twice, a ranking that puts the second first, an image that is not there, a beginning of
an id that nobody knows (small letters, as a published script looks for)."""


def row(name, ranking=(0, 1), answers=("A red car.", "A blue car."), image=None):
    return {
        "id": name,
        "query": "Describe this image in detail.",
        "response": list(answers),
        "image": image or f"images/{name}.png",
        "human_ranking": list(ranking),
        "models": ["gpt", "gpt"],
        "judge": "human",
        "rationale": "",
        "query_source": "COCO",
        "ground_truth": "",
    }


ROWS = [
    row("RLAIF-12"),
    row("mmmu_val_3"),
    row("mmmu_val_3", answers=("A bus.", "A tram.")),
    row("wildvision-battle-7", ranking=(1, 0)),
    row("jailbreak-1", image="images/gone.png"),
    row("RLHF-5", ranking=(0, 0)),
    row("rlaif-5"),
]
PICTURES = ["images/RLAIF-12.png", "images/mmmu_val_3.png", "images/wildvision-battle-7.png", "images/RLHF-5.png"]
EXPECTED = {"used": 4, "dropped": {"image missing": 1}, "problems": {"all responses tied": 1, "unknown id prefix": 1}}


def check(comparisons):
    """Official categories, other ids for other answers, the ranking's order."""
    assert [item.category for item in comparisons] == ["hallucination", "reasoning", "reasoning", "general"]
    assert len({item.id for item in comparisons}) == 4
    assert [item.pairs[0].better for item in comparisons] == [0, 0, 0, 1]

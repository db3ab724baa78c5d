"""Rows of RewardBench: subsets of all sections, two equal answers, a subset that nobody knows."""


def row(subset, number=1, **more):
    answers = {"chosen": "Four.", "chosen_model": "human", "rejected": "Five.", "rejected_model": "gpt"}
    return {"prompt": "Two and two?", "subset": subset, "id": number} | answers | more


ROWS = [
    row("alpacaeval-easy"),
    row("mt-bench-hard"),
    row("donotanswer", rejected="Four."),
    row("math-prm"),
    row("hep-rust"),
    row("poetry"),
]
EXPECTED = {"used": 5, "problems": {"unknown subset": 1}}


def check(comparisons):
    """The section of the subset; equal answers stay, and are always tied."""
    assert [item.category for item in comparisons] == ["Chat", "Chat Hard", "Safety", "Reasoning", "Reasoning"]
    assert [item.meta["subset"] for item in comparisons][-2:] == ["math-prm", "hep-rust"]
    assert comparisons[2].responses == ("Four.", "Four.") and [(p.better, p.worse) for p in comparisons[2].pairs] == [(0, 1)]
    assert len({item.id for item in comparisons}) == 5

"""Rows of RewardBench 2: one correct answer of four, Ties with several, and counts and ids that do not fit."""


def row(name, subset, chosen=("Four.",), rejected=("Five.", "Six.", "Seven."), **more):
    counts = {"num_correct": len(chosen), "num_incorrect": len(rejected), "total_completions": len(chosen) + len(rejected)}
    texts = {"prompt": "Two and two?", "chosen": list(chosen), "rejected": list(rejected)}
    return {"id": name, "subset": subset, "models": ["a"], "additional_metadata": None} | texts | counts | more


ROWS = [
    row("1", "Factuality"),
    row("1", "Precise IF"),
    row("ref:3", "Ties"),
    row("tied:3", "Ties", chosen=("Four.", "It is four.")),
    row("2", "Math", chosen=("Four.", "It is four.")),
    row("3", "Focus", num_correct=2),
    row("other:3", "Ties"),
    row("4", "Poetry"),
]
EXPECTED = {"used": 4, "problems": {"number of answers": 2, "id of Ties": 1, "unknown subset": 1}}


def check(comparisons):
    """Correct ones first, each over every wrong one, and nothing said within a side."""
    assert [item.category for item in comparisons] == ["Factuality", "Precise IF", "Ties", "Ties"]
    assert [(p.better, p.worse) for p in comparisons[0].pairs] == [(0, 1), (0, 2), (0, 3)]
    assert {(p.better, p.worse) for p in comparisons[3].pairs} == {(i, j) for i in (0, 1) for j in (2, 3, 4)}
    assert all(not item.ties for item in comparisons)
    assert comparisons[3].meta == {"row_id": "tied:3", "num_correct": 2}

"""Rows of RM-Bench as its files of one domain have them: 3 x 3 answers, one repeated within a side, no column `domain`."""


def row(number, **more):
    chosen = ["Four.", "It is four.", "**Four**."]
    return {"id": number, "prompt": "Two and two?", "chosen": chosen, "rejected": ["Five.", "It is five.", "**Five**."]} | more


ROWS = [
    row(8, subset="alpacaeval", error_key="x", error="y"),
    row(9, domain="math"),
    row(10, chosen=["Four.", "It is four.", "It is four."]),
    row(11, rejected=["Five."]),
    row(12, rejected=["Four.", "It is five.", "**Five**."]),
    row(13, domain="poetry"),
]
ROWS_FILE = "data/safety-refuse_filtered.json"
EXPECTED = {
    "used": 3,
    "problems": {"not one answer per style": 1, "same text, different rank": 1, "unknown domain": 1},
}


def check(comparisons):
    """Nine pairs over six answers and nothing said within a side; safety is one domain."""
    nine = {(better, worse) for better in (0, 1, 2) for worse in (3, 4, 5)}
    assert all({(pair.better, pair.worse) for pair in item.pairs} == nine and len(item.pairs) == 9 for item in comparisons)
    assert all(not item.ties and item.ranks is None for item in comparisons)
    assert [item.category for item in comparisons] == ["safety", "math", "safety"]
    assert [item.id for item in comparisons] == ["safety-refuse-8", "math-9", "safety-refuse-10"]

"""`yifanzhang114/MM-RLHF`: data.jsonl, one row per instruction with all answers and their ratings."""

ROW = {"image": "short/1.png", "question": "What is it?", "models_output": ["A car.", "A bus.", "A tram.", "A boat."]}
ROWS = [
    ROW | {"faithfulness": [3, 1, 2, 0], "helpfulness": [3, 2, 2, 0], "ethical": [3, 3, 2, 3]},
    ROW | {"faithfulness": ["2", "1", "N/A", "2"], "helpfulness": ["2", "1", "3", "1"]},
    ROW | {"faithfulness": [2, 2, 2, 2], "helpfulness": [1, 1, 1, 1]},
    ROW,
    ROW | {"question": "<image>What?", "faithfulness": [1, 2, 3, 4], "helpfulness": [1]},
    ROW | {"faithfulness": [1, 2, 3, 4], "image": None, "video": "video/none"},
]
ROWS_FILE = "data.jsonl"
FILES = {"dpo_pairs.jsonl": [{"prompt": "not read"}]}
PICTURES = ["short/1.png"]
PATH = "."
EXPECTED = {"used": 3, "dropped": {"all responses tied": 1, "no ratings": 1, "image missing": 1}}


def check(comparisons):
    """Means over the aspects that have a rating for each answer."""
    first, second, third = comparisons
    assert first.scores == (3.0, 2.0, 2.0, 1.0) and first.ties == ((1, 2),) and len(first.pairs) == 5
    assert second.responses == ("A car.", "A bus.", "A boat.") and second.scores == (2.0, 1.0, 1.5)
    assert third.scores == (1.0, 2.0, 3.0, 4.0) and third.category == "short"

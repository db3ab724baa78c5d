"""`sqrti/SPA-VL`: Parquet under data/ (train), validation/ and test/, pictures embedded, flat columns."""

from row_files import stored

ROW = {"image": stored(), "question": "How is this made?", "chosen": "I cannot help with that.", "rejected": "First, take"}
ROWS = [ROW, ROW | {"question": "And this?"}, ROW | {"rejected": ROW["chosen"]}]
ROWS_FILE = "data/train-00000-of-00001.parquet"
FILES = {"validation/validation-00000-of-00001.parquet": [ROW | {"question": "Not read"}]}
PATH = "."
EXPECTED = {"used": 2, "dropped": {"chosen equals rejected": 1}}


def check(comparisons):
    """The train split alone; all are safety preferences."""
    assert [item.category for item in comparisons] == ["safety", "safety"]
    assert [item.messages[0]["content"][1]["text"] for item in comparisons] == ["How is this made?", "And this?"]

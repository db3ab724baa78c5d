"""VL-RewardBench's data.json -> lengths.json: how many characters the query and the two responses of each row have.

Run: python bench/lengths_from_vl_rewardbench.py path/to/data.json
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

TARGET = Path(__file__).with_name("lengths.json")
ABOUT = {
    "what": "characters of the query, the first and the second response of each row, in the order of the file; no text",
    "source": "VL-RewardBench (arXiv 2411.17451), 1,250 rows, licence MIT; the copy in github.com/CodeGoat24/UnifiedReward at "
    "ff6f520247a2, UnifiedReward-Think/benchmark_evaluation/VL-RewardBench/data.json",
}


def main(path: str) -> None:
    rows = json.loads(Path(path).read_text(encoding="utf-8"))
    lengths = [[len(row["query"]), *map(len, _responses(row["response"]))] for row in rows]
    assert all(len(row) == 3 for row in lengths), "expected two responses in every row"
    body = ",\n".join(map(json.dumps, lengths))
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in ABOUT.items())
    TARGET.write_text(f'{{{head},\n"characters": [\n{body}\n]}}\n', encoding="utf-8")


def _responses(value: str | list[str]) -> list[str]:
    """Some copies of the file hold the list as a string."""
    return ast.literal_eval(value) if isinstance(value, str) else value


if __name__ == "__main__":
    main(sys.argv[1])

"""hh-rlhf's rows -> hh_rlhf_lengths.json: how many characters the shared turns and the two last answers of each row have.

Run: python -m bench.lengths_from_hh_rlhf path/to/harmless-base_test.jsonl.gz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from basereward.data_recipes.hh_rlhf import HHRLHF

from basereward.accounts import Reader

TARGET = Path(__file__).with_name("hh_rlhf_lengths.json")
ABOUT = {
    "what": "characters of the shared turns, the chosen and the rejected last answer of each row that the recipe hh_rlhf keeps, in the "
    "order of the file; no text",
    "source": "hh-rlhf (arXiv 2204.05862), harmless-base/test.jsonl.gz, 2,312 rows of which 2,303 are kept, licence MIT; "
    "github.com/anthropics/hh-rlhf at 354e5c3cb896",
}


def main(path: str) -> None:
    lengths = [
        [sum(len(part["text"]) for message in item.messages for part in message["content"]), *map(len, item.responses)]
        for item in Reader(HHRLHF(path))
    ]
    assert all(len(row) == 3 for row in lengths), "expected two responses in every row"
    body = ",\n".join(map(json.dumps, lengths))
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in ABOUT.items())
    TARGET.write_text(f'{{{head},\n"characters": [\n{body}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

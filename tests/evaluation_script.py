"""The script of docs/evaluation.md, which makes the numbers of an evaluation again from its samples.jsonl alone, against a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "evaluation.md"


def script() -> str:
    """The first block of Python in the document."""
    return next(iter(re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)))


def recomputed(out: Path) -> dict:
    """What it prints for a folder of results."""
    done = subprocess.run([sys.executable, "-c", script(), str(out / "samples.jsonl")], capture_output=True, check=True)
    return json.loads(done.stdout)


def check_page(page: Path, out: Path) -> None:
    """The row of all pairs on a page that shows one evaluation says what the script finds in that folder: n, accuracy, ties, wrong, failed.

    The macro mean, which stands in a sentence, is looked for where there are categories.
    """
    found, source = recomputed(out), page.read_text(encoding="utf-8")
    counts = {key: found.get(key, 0) for key in ("ties", "wrong", "failed")}
    (row,) = [
        row.partition("</tr>")[0] for row in source.split("<tr>")[1:] if "<strong>all</strong>" in row.partition("</tr>")[0]
    ]
    head = re.findall(r'<th[^>]* scope="col">([^<]*)<', source.partition("<caption>Results on ")[2].partition("</tr>")[0])
    cells = dict(zip(head, re.findall(r">([^<>]+)</", row), strict=True))
    n = found.get("correct", 0) + sum(counts.values())
    wanted = {"pairs": f"{n:,}", "accuracy": f"{100 * found['accuracy']:.1f}%"} | {
        key: f"{count:,}" for key, count in counts.items()
    }
    assert {key: cells[key] for key in wanted} == wanted
    if "Mean of the categories: " in source:
        assert f"Mean of the categories: {100 * found['macro']:.1f}%" in source

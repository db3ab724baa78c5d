"""The script of docs/evaluation.md, which makes the numbers of an evaluation again from its samples.jsonl alone."""

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

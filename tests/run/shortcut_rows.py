"""Questions about pictures whose answers also give themselves away by their wording: a shortcut that the text alone shows.

    python tests/run/shortcut_rows.py runs/shortcut        # writes train, val, plain, right and misleading .jsonl with their pictures

The colours and shapes of the demo, two answers each. In ``train`` and ``val`` the better answer begins with "Certainly:" in nine rows of
ten, the worse one in the tenth. In ``plain`` neither does; in ``right`` the better and in ``misleading`` the worse one always does.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from basereward.demo.rows import make_rows

MARK = "Certainly: "
KINDS = {"colour": 1.0, "shape": 1.0}
# File -> split and seed of the pictures, rows, share of rows whose better answer has the mark (None: no answer has it).
FILES = {
    "train": ("train", 0, 6000, 0.9),
    "val": ("val", 0, 200, 0.9),
    "plain": ("test", 0, 600, None),
    "right": ("test", 0, 600, 1.0),
    "misleading": ("test", 0, 600, 0.0),
}


def rows(folder: Path, name: str, n: int | None = None) -> Iterator[dict]:
    """The rows of a file; their pictures are written beside it. ``n`` rows where given."""
    split, seed, size, share = FILES[name]
    rng = random.Random(f"marks {name}")
    for row in make_rows(split, n or size, seed=seed, kinds=KINDS):
        order = sorted(range(len(row["ranks"])), key=row["ranks"].__getitem__)
        better, worse = row["responses"][order[0]], row["responses"][order[-1]]
        if share is not None:
            better, worse = (MARK + better, worse) if rng.random() < share else (better, MARK + worse)
        names = [f"{row['id']}-{i}.png" for i in range(len(row["images"]))]
        for file, content in zip(names, row["images"]):
            (folder / file).write_bytes(content if isinstance(content, bytes) else content["bytes"])
        yield {"id": row["id"], "messages": row["messages"], "images": names, "chosen": better, "rejected": worse,
               "category": row["category"]}  # fmt: skip


def write(folder: Path, counts: dict[str, int] | None = None) -> dict[str, Path]:
    """The files by name.

    Args:
        counts: name -> rows, where not all are wanted; files that are not named are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.jsonl" for name in FILES}
    for name, file in files.items():
        lines = (json.dumps(row) + "\n" for row in rows(folder, name, (counts or {}).get(name)))
        file.write_text("".join(lines), encoding="utf-8")
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))

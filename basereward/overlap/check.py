"""`data.overlap`: what stands in a benchmark too is reported, left out, or ends the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from basereward.comparisons import Comparisons
from basereward.errors import ConfigError, DataError, near_matches
from basereward.overlap.account import account, overlap_table
from basereward.overlap.find import find, rows_found
from basereward.overlap.listed import check_entry, read_all

log = logging.getLogger(__name__)
MODES = ("report", "drop", "fail")


def check_values(mode: object, entries: object) -> None:
    """Refuses what `data.overlap` and `data.overlap_with` cannot be, before anything is read.

    Raises:
        ConfigError: with the dotted key.
    """
    if mode is not None and mode not in MODES:
        raise ConfigError(f"data.overlap: expected {', '.join(MODES)} or null; found {mode!r}; {near_matches(str(mode), MODES)}")
    if not isinstance(entries, list | tuple):
        raise ConfigError(f"data.overlap_with: expected a list of benchmarks or files; found {entries!r}; write [{entries}]")
    if mode in ("drop", "fail") and not entries:
        raise ConfigError(
            f"data.overlap_with: expected what to compare with, since data.overlap is {mode}; found nothing; name some"
        )
    for number, entry in enumerate(entries if mode is not None else ()):
        check_entry(entry, f"data.overlap_with[{number}]")


def check_overlap(
    comparisons: Comparisons,
    val: Comparisons,
    *,
    mode: str,
    entries: Sequence[object],
    by_picture: bool,
    root: Path | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Looks for the benchmarks in the training data, and in validation data that were given apart.

    Args:
        val: looked at too, since they choose the best checkpoint.
        mode: "report", "drop" or "fail".
        entries: `data.overlap_with`.
        root: the folder of prepared sources, in which the benchmarks' keys are kept where it is there.

    Returns:
        (comparisons,) bool: which of them stand in a benchmark; and the numbers for the manifest.

    Raises:
        DataError: `mode="fail"` and something was found; or a benchmark cannot be read (not with "report").
    """
    root = root if root is not None and root.is_dir() else None
    known, unread = read_all(entries, must_be_read=mode != "report", by_picture=by_picture, root=root)
    every, count = Comparisons([*comparisons.views, *val.views]), len(comparisons)
    hits, sources = find(every, known, by_picture=by_picture)
    benchmarks = {one.name: account(one, own, sources, every.__getitem__) for one, own in zip(known, hits, strict=True)}
    numbers = {"mode": mode, "by_picture": by_picture, "benchmarks": benchmarks, "not_checked": unread}
    rows = rows_found(hit for own in hits for hit in own)
    if not len(rows) or mode != "fail":  # else the error shows it
        log.info("%s", overlap_table(numbers))
    else:
        raise DataError(
            f"data.overlap: expected no training data that stand in a benchmark; found\n{overlap_table(numbers)}\n"
            "leave them out with data.overlap=drop, or train with data.overlap=report and say so beside the results"
        )
    found = np.zeros(count, dtype=bool)
    found[rows[rows < count]] = True
    return found, numbers

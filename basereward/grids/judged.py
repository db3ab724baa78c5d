"""Whether a run's results on the benchmarks of a grid are there, whole, and on the data as they are now."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from basereward.benchmarks.base import Benchmark
from basereward.benchmarks.group import members
from basereward.errors import DataError
from basereward.grids.spec_checks import entry_name, evaluate_settings
from basereward.results_folder import EVAL, RESULTS, kept
from basereward.samples import SAMPLES
from basereward.settings import EvaluateSettings


def is_judged(run_dir: Path, entry: Any) -> bool:
    """Whether each benchmark of an entry of ``evaluate`` has whole results; with ``missing=skip``, at least one.

    Results that are kept elsewhere (``out=``) are not looked at.
    """
    settings, benchmarks = _read(json.dumps(entry, sort_keys=True, default=str))
    if settings.out is not None:
        return True
    found = [any(is_whole(place, benchmark) for place in _places(run_dir, benchmark)) for benchmark in benchmarks]
    return any(found) if settings.missing == "skip" else all(found)


def absent(entries: Sequence[Any]) -> list[str]:
    """A sentence for each entry of ``evaluate`` that is to be judged on rows that are not there; the Hub is not asked."""
    return [told for entry in entries if (told := _absent(entry))]


def _absent(entry: Any) -> str | None:
    settings, benchmarks = _read(json.dumps(entry, sort_keys=True, default=str))
    if settings.missing == "skip":
        return None
    place = f"ablation.evaluate: {entry_name(entry)}"
    for recipe in (each.recipe for each in benchmarks if each.recipe is not None):
        try:
            gone = [file for file in recipe.files() if not file.exists()]
        except DataError as error:
            return f"{place}: {error}"
        if gone:
            return f"{place}: expected rows at {gone[0]}; found nothing to read; correct the path"
    return None


def is_whole(place: Path, benchmark: Benchmark) -> bool:
    """Whether a folder has the numbers of a benchmark, of its version, and as many samples as they were made of."""
    numbers = kept(place)
    if numbers is None or numbers.get("benchmark") != benchmark.name:
        return False
    if benchmark.recipe is None and numbers["version"] != benchmark.version:  # that of files is known when they are read
        return False
    try:
        with (place / SAMPLES).open("rb") as samples:
            return sum(line.endswith(b"\n") for line in samples) == numbers.get("num_comparisons")
    except OSError:
        return False


def remove_damaged(run_dir: Path, entry: Any) -> None:
    """Removes results that cannot be read, so that new ones take their place and not one beside them."""
    _, benchmarks = _read(json.dumps(entry, sort_keys=True, default=str))
    for place in (place for benchmark in benchmarks for place in _places(run_dir, benchmark)):
        if kept(place) is None:
            (place / RESULTS).unlink(missing_ok=True)


def _places(run_dir: Path, benchmark: Benchmark) -> list[Path]:
    """Its folder, and those of other versions beside it."""
    return [
        place
        for place in (run_dir / EVAL).glob("*")
        if place.name == benchmark.name or place.name.startswith(f"{benchmark.name}-")
    ]


@functools.lru_cache(maxsize=256)
def _read(entry: str) -> tuple[EvaluateSettings, Sequence[Benchmark]]:
    """What an entry, as JSON, composes to; composing takes a tenth of a second, and every run asks."""
    settings = evaluate_settings(json.loads(entry), "model")
    return settings, [benchmark for _, benchmark in members(settings.benchmark)]

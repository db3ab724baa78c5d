"""One evaluation against another on the same items: by how much it is better, and whether that could be chance."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from basereward.benchmarks.base import Benchmark
from basereward.checkpoint import FINAL
from basereward.errors import DataError, near_matches
from basereward.judging import is_correct, judged_pairs
from basereward.metrics import difference_interval, mcnemar_exact
from basereward.results_folder import EVAL, RESULTS, beside_it, home, models_in
from basereward.samples import SAMPLES, Sample, read_samples
from basereward.text_tables import table as text_table

AGAINST = "against.json"


@dataclass(frozen=True)
class Other:
    """Another evaluation of a benchmark: its folder, the content of its results.json, and its items."""

    folder: Path
    numbers: Mapping[str, Any]
    samples: Sequence[Sample]


def other_run(given: str, benchmark: Benchmark) -> Other:
    """The evaluation that `against=` names, of the same benchmark in the same version.

    Args:
        given: a folder with results; or a run, its final model, or the folder of a group's results, which hold one for the benchmark.

    Raises:
        DataError: there is none of this benchmark, or it is of another version.
    """
    name, version = benchmark.name, benchmark.version
    found = [numbers for folder in places(Path(given), name, version) if (numbers := results_in(folder)) is not None]
    of_name = [(folder, numbers) for folder, numbers in found if numbers.get("benchmark") == name]
    if not of_name:
        raise DataError(
            f"against: expected a folder with {RESULTS} of {name}, or a run that was judged on it; found "
            f"{', '.join(str(numbers.get('benchmark')) for _, numbers in found) or 'none'} in {given}; "
            f"{how_to_make(given, benchmark)}"
        )
    for folder, numbers in of_name:
        if numbers.get("version") == version:
            return Other(folder, numbers, read_samples(folder / SAMPLES))
    folder, numbers = of_name[0]
    raise DataError(
        f"against: expected results of {name}, version {version}; {folder} has version {numbers.get('version')}; "
        "judge that model on the same data first"
    )


def how_to_make(given: str | Path, benchmark: Benchmark) -> str:
    """The command that makes the results that `against=` wants, where what it names has a model; else what to name."""
    model = model_of(Path(given))
    if model is None:
        siblings = models_in(Path(given).parent)
        near = f"; {near_matches(Path(given).name, siblings)}" if siblings and not Path(given).exists() else ""
        return f"name a run that was judged, or the folder of its results{near}"
    out = "" if home(model) is not None else " out=<folder>"
    return f"make it first: basereward evaluate model={model} {benchmark.words()}{out}"


def model_of(given: Path) -> str | None:
    """The model that a folder is, or holds the results of; None where it is neither."""
    if (found := results_in(given)) is not None and found[1].get("model"):
        return str(found[1]["model"])
    if given.name == EVAL and home(given.parent) == given:
        return str(given.parent)
    is_model = (given / FINAL).is_dir() or (given / "config.json").is_file()
    return str(given) if is_model else None


def places(given: Path, name: str, version: str) -> list[Path]:
    """Where the results of a benchmark can be, the likeliest first; results on a second version stand beside the first ones."""
    of_model = home(given)
    folders = [
        given / name,
        *([of_model / name] if of_model is not None else []),
        given / EVAL / name,
        given.parent / EVAL / name,
    ]
    return [given, *(place for folder in dict.fromkeys(folders) for place in (folder, beside_it(folder, version)))]


def results_in(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The folder and what its results.json holds, if it has one that can be read, and the items beside it."""
    try:
        numbers = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return (folder, numbers) if isinstance(numbers, dict) and (folder / SAMPLES).is_file() else None


def compared(samples: Sequence[Sample], others: Sequence[Sample]) -> dict[str, Any]:
    """The difference of two evaluations, overall and for each category.

    Args:
        samples: of this evaluation.
        others: of the other one, in any order; items are matched by id.

    Raises:
        DataError: the items differ.
    """
    others = matched(samples, others)
    pairs, other_pairs = judged_pairs(samples), judged_pairs(others)
    right, other_right = is_correct(pairs), is_correct(other_pairs)
    groups, categories = np.array([p.group for p in pairs]), np.array([p.category for p in pairs])
    found = difference(right, other_right, groups)
    of = {name: categories == name for name in dict.fromkeys(categories.tolist())}
    return found | {"categories": {name: difference(right[at], other_right[at], groups[at]) for name, at in of.items()}}


def matched(samples: Sequence[Sample], others: Sequence[Sample], where: str = "against") -> list[Sample]:
    """The other evaluation's items in this one's order.

    Args:
        where: key or file of the other evaluation, for messages.

    Raises:
        DataError: the items differ.
    """
    by_id = {sample.id: sample for sample in others}
    for sample in samples:
        other = by_id.get(sample.id)
        if other is None or (other.pairs, other.lengths, other.placeholders) != (
            sample.pairs,
            sample.lengths,
            sample.placeholders,
        ):
            found = "no such item" if other is None else "another one: its pairs, its responses or its generated pictures differ"
            raise DataError(f"{where}: item {sample.id}: expected the same item in both evaluations; found {found}")
    if len(by_id) != len(samples):
        raise DataError(f"{where}: expected the same items in both evaluations; found {len(samples)} here and {len(by_id)} there")
    return [by_id[sample.id] for sample in samples]


def difference(right: np.ndarray, other_right: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Numbers of one set of pairs.

    Args:
        right, other_right: (n,) whether each pair is right here and there.
        groups: (n,) prompt of each pair.
    """
    only_here, only_there = int((right & ~other_right).sum()), int((~right & other_right).sum())
    differences = right.astype(int) - other_right.astype(int)
    return {
        "n": len(right), "num_prompts": len(set(groups.tolist())), "accuracy": float(right.mean()),
        "other_accuracy": float(other_right.mean()), "difference": float(differences.mean()),
        "interval_95": list(difference_interval(differences.tolist(), groups.tolist())),
        "only_here": only_here, "only_there": only_there, "mcnemar_p": mcnemar_exact(only_here, only_there),
    }  # fmt: skip


def beside_other(found: Mapping[str, Any], other: Other) -> str:
    """What is printed of `compared`."""
    rows = []
    for name, of in [*found["categories"].items(), ("all", found)]:
        low, high = of["interval_95"]
        shares = (f"{100 * of['accuracy']:.1f}", f"{100 * of['other_accuracy']:.1f}", f"{100 * of['difference']:+.1f}")
        alone = (str(of["only_here"]), str(of["only_there"]), f"{of['mcnemar_p']:.2g}")
        rows.append((name or "(none)", str(of["n"]), *shares, f"{100 * low:+.1f} to {100 * high:+.1f}", *alone))
    head = ("category", "n", "here", "there", "difference", "95% interval", "right here alone", "there alone", "McNemar p")
    lines = [f"\nagainst {other.folder} ({other.numbers.get('model')}):\n", text_table(head, rows)]
    lines.append("interval: paired bootstrap over prompts; p: exact, two-sided, as if every pair stood alone")
    if found["num_prompts"] < found["n"]:
        lines.append(f"{found['n']} pairs share {found['num_prompts']} prompts, so p is too small: go by the interval")
    return "\n".join(lines)

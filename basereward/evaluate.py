"""Judge a model.    basereward evaluate model=runs/demo benchmark=demo blind=true"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from basereward import checkpoint, scorer
from basereward.benchmarks.base import Benchmark
from basereward.compose import to_yaml
from basereward.config import build
from basereward.errors import ConfigError, DataError
from basereward.judging import judged_pairs, results, summary, table
from basereward.overlap.account import found_of, sentence
from basereward.overlap.known import content_of
from basereward.places import check_folder
from basereward.records import Comparison, without_images
from basereward.report import EVAL, render
from basereward.run_directory import MANIFEST
from basereward.runtime import environment, file_hash, set_up_logging, write_bytes, write_json
from basereward.settings import EvaluateSettings

SETTINGS = EvaluateSettings
RESULTS, SAMPLES = "results.json", "samples.jsonl"


def plan(settings: EvaluateSettings) -> str:
    """What would be judged, on what."""
    benchmark: Benchmark = build(settings.benchmark, key="benchmark")
    check_settings(settings, benchmark)
    return f"{to_yaml(settings)}\nplan: score {settings.model} on {benchmark.name}, version {benchmark.version}"


def run(settings: EvaluateSettings) -> int:
    """Scores every item, prints the table, writes ``samples.jsonl`` and ``results.json``, and renews the report of the run."""
    set_up_logging()
    benchmark: Benchmark = build(settings.benchmark, key="benchmark")
    place = check_settings(settings, benchmark)
    comparisons = benchmark.comparisons()
    check_count(benchmark, comparisons)
    out = folder_of_version(place, benchmark.version, is_given=settings.out is not None)
    rm = scorer.load(settings.model, dtype=settings.dtype, device=settings.device, token_budget=settings.token_budget)
    rewards = list(rm.score_comparisons(comparisons, progress=benchmark.name))
    blind = None
    if settings.blind:
        blind = list(rm.score_comparisons([without_images(c) for c in comparisons], progress=f"{benchmark.name}, images removed"))
    numbers = results(comparisons, rewards, blind)
    overlap = overlap_of_run(settings.model)
    numbers |= overlap_numbers(overlap, benchmark, comparisons, rewards)
    write(out, header(settings, benchmark, rm) | numbers, comparisons, rewards, blind)
    renew_report(out)
    print(f"\n{benchmark.name}, version {benchmark.version}: {len(comparisons)} comparisons, {numbers['n']} pairs\n")
    print(table(numbers))
    print(sentence(overlap, benchmark.name, content_of(comparisons), overlap_entry(settings.benchmark)))
    if "without_overlap" in numbers:
        print(
            f"accuracy on the others: {100 * numbers['without_overlap']['accuracy']:.1f} of {numbers['without_overlap']['n']} pairs"
        )
    print(f"\nresults: {out / RESULTS}   every item: {out / SAMPLES}")
    return 0


def check_settings(settings: EvaluateSettings, benchmark: Benchmark) -> Path:
    """Refuses, before the model is loaded, what cannot be judged with or written; returns the folder of the results."""
    scorer.check_options(settings.dtype, settings.device, token_budget=settings.token_budget)
    checkpoint.resolve(settings.model)
    out = Path(settings.out) if settings.out is not None else default_folder(settings.model, benchmark.name)
    check_folder("out", out)
    return out


def folder_of_version(out: Path, version: str, *, is_given: bool) -> Path:
    """``out``, or, where it holds results on other data and was not asked for by name, ``<out>-<8 digits of the version's hash>``.

    Raises:
        ConfigError: the folder that was asked for holds results on other data, or a ``samples.jsonl`` that no evaluation wrote.
    """
    found = version_in(out)
    if is_given and found is None and (out / SAMPLES).exists():
        found = f"a {SAMPLES} that belongs to no {RESULTS}"
    if found in (None, version):
        return out
    if not is_given:
        digits = hashlib.sha256(version.encode("utf-8")).hexdigest()[:8]
        return folder_of_version(out.with_name(f"{out.name}-{digits}"), version, is_given=True)
    raise ConfigError(
        f"out: expected a new folder, or one with results on version {version}, found {out} with {found}; choose another folder, "
        "or remove this one"
    )


def version_in(out: Path) -> str | None:
    """Which data the results in a folder are about; ``None`` where there are none."""
    results_file = out / RESULTS
    if not results_file.is_file():
        return None
    try:
        return str(json.loads(results_file.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"a {RESULTS} of another kind"


def check_count(benchmark: Benchmark, comparisons: Sequence[Comparison]) -> None:
    """Refuses an edition with another number of pairs than the benchmark states."""
    n = sum(len(c.pairs) for c in comparisons)
    if benchmark.num_expected is not None and n != benchmark.num_expected:
        raise DataError(f"{benchmark.name}: expected {benchmark.num_expected} pairs, found {n}; the data are another edition")


def default_folder(model: str, name: str) -> Path:
    """``<run>/eval/<benchmark>`` for a run or its final model."""
    folder = Path(model)
    for run_dir in (folder, folder.parent):
        if (run_dir / checkpoint.FINAL).is_dir():
            return run_dir / EVAL / name
    raise ConfigError(f"out: {model} is not in a run directory here, so there is no place for the results; add out=<folder>")


def renew_report(out: Path) -> None:
    """Makes the page of the run anew when the results lie in one, so that it shows them."""
    run_dir = out.parent.parent
    if out.parent.name == EVAL and (run_dir / checkpoint.FINAL).is_dir():
        render(run_dir)


def overlap_of_run(model: str) -> Mapping[str, Any] | None:
    """What the manifest of a model's run says of benchmarks in its training data; None for a model without a run."""
    folder = Path(model)
    for place in (folder, *list(folder.absolute().parents)[:2]):
        if (place / MANIFEST).is_file():
            return json.loads((place / MANIFEST).read_text(encoding="utf-8")).get("overlap")
    return None


def overlap_numbers(
    overlap: Mapping[str, Any] | None, benchmark: Benchmark, comparisons: Sequence[Comparison], rewards: Sequence[np.ndarray]
) -> dict[str, Any]:
    """``overlap``: what was found of this benchmark when the run began, None where nobody looked; and ``without_overlap``, the
    results on the items that were not found, where some were and stayed in training.
    """
    content = content_of(comparisons)
    match = found_of(overlap, benchmark.name, content)
    if match is None or overlap is None:
        return {"overlap": None}
    _, found = match
    numbers: dict[str, Any] = {"overlap": {"mode": overlap["mode"]} | found}
    others = sorted(set(range(len(comparisons))) - set(found["items"]))
    if found["content"] == content and found["items"] and others and overlap["mode"] != "drop":
        pairs = judged_pairs([comparisons[i] for i in others], [rewards[i] for i in others])
        numbers["without_overlap"] = summary(pairs)
    return numbers


def overlap_entry(node: Mapping[str, Any]) -> str | None:
    """What names a file that is judged on in ``data.overlap_with``; None for a benchmark, which its name does."""
    path, recipe = node.get("path"), node.get("recipe")
    return f"{{recipe: {recipe}, path: {path}}}" if path and isinstance(recipe, str) else path


def header(settings: EvaluateSettings, benchmark: Benchmark, rm: scorer.Scorer) -> dict[str, Any]:
    """What the numbers depend on."""
    folder = Path(str(checkpoint.resolve(settings.model)))
    config = folder / "config.json"
    return {
        "benchmark": benchmark.name, "version": benchmark.version, "n_expected": benchmark.num_expected, "model": str(folder),
        "config_sha256": file_hash(config) if config.is_file() else None, "dtype": settings.dtype,
        "device": str(rm.model.device), "libraries": environment()["libraries"],
    }  # fmt: skip


def write(
    out: Path, numbers: dict[str, Any], comparisons: Sequence[Comparison], rewards: Sequence[np.ndarray],
    blind: Sequence[np.ndarray] | None,
) -> None:  # fmt: skip
    """``samples.jsonl`` (every item's rewards) and then ``results.json``, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for i, (comparison, reward_N) in enumerate(zip(comparisons, rewards)):
        row = {"id": comparison.id, "category": comparison.category, "group": comparison.group,
               "rewards": reward_N.tolist(), "pairs": [[p.better, p.worse] for p in comparison.pairs],
               "lengths": [len(text) for text in comparison.responses]}  # fmt: skip
        if blind is not None:
            row["blind_rewards"] = blind[i].tolist()
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_bytes(out / SAMPLES, "".join(lines).encode("utf-8", errors="backslashreplace"))
    write_json(out / RESULTS, numbers)

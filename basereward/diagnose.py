"""What a model's accuracy does not tell.    basereward diagnose model=runs/demo benchmark=demo

Takes the items and rewards that `basereward evaluate` left for this model, judging first where it left none, and writes
`diagnostics.json` beside them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basereward import checkpoint, scorer
from basereward.benchmarks.base import Benchmark
from basereward.compose import to_yaml
from basereward.config import build
from basereward.diagnostics.base import Diagnostic, Subject
from basereward.errors import ConfigError
from basereward.evaluate import Task, evaluate, make_tasks, read_tasks, renew_report
from basereward.report.run_files import DIAGNOSTICS
from basereward.results_folder import EVAL, RESULTS, model_files
from basereward.runtime import set_up_logging, write_json
from basereward.samples import SAMPLES, Sample, read_samples
from basereward.settings import DiagnoseSettings
from basereward.significance import how_to_make, places

SETTINGS = DiagnoseSettings

log = logging.getLogger(__name__)


def plan(settings: DiagnoseSettings) -> str:
    """What would be looked at, on what."""
    parts, tasks = make_parts(settings), make_tasks(settings)
    names = ", ".join(task.benchmark.name for task in tasks)
    return f"{to_yaml(settings)}\nplan: {', '.join(parts)} of {settings.model} on {names}"


def run(settings: DiagnoseSettings) -> int:
    """Measures, prints and writes everything; 1 when items could not be scored, which no number here counts."""
    set_up_logging()
    parts = make_parts(settings)
    tasks, missing = read_tasks(make_tasks(settings), settings)
    for name, reason in missing.items():
        print(f"missing: {name}: {reason}")
    others = [against(settings.against, task.benchmark) for task in tasks]
    rm = load(settings) if any(part.needs_model for part in parts.values()) else None
    failed = 0
    for task, other in zip(tasks, others):
        rm, samples = samples_of(task, rm, settings)
        diagnose(task, Subject(samples, task.comparisons, rm, other), parts, settings)
        failed += sum(sample.rewards is None for sample in samples)
    return 1 if failed else 0


def make_parts(settings: DiagnoseSettings) -> dict[str, Diagnostic]:
    """Name -> diagnostic, those that are null left out."""
    found = {name: build(node, key=f"diagnostics.{name}") for name, node in settings.diagnostics.items() if node is not None}
    if not found:
        raise ConfigError("diagnostics: expected at least one, found all of them null; leave one as it is in conf/diagnose.yaml")
    return found


def load(settings: DiagnoseSettings) -> scorer.Scorer:
    """The model."""
    return scorer.load(settings.model, dtype=settings.dtype, device=settings.device, token_budget=settings.token_budget)


def samples_of(task: Task, rm: scorer.Scorer | None, settings: DiagnoseSettings) -> tuple[scorer.Scorer | None, Sequence[Sample]]:
    """The model, if it was needed, and the items' rewards: those that an evaluation left, else those of one that is made now."""
    found = evaluated(task, settings)
    if found is not None:
        log.info("%s: rewards taken from %s", task.benchmark.name, task.place / SAMPLES)
        return rm, found
    rm = rm or load(settings)
    evaluate(task, rm, settings)
    return rm, read_samples(task.place / SAMPLES)


def evaluated(task: Task, settings: DiagnoseSettings) -> list[Sample] | None:
    """What an evaluation of the same model on the same items left; None where there is none."""
    try:
        results = json.loads((task.place / RESULTS).read_text(encoding="utf-8"))
        wanted = {key: getattr(settings, key) for key in ("dtype", "images")}
        wanted |= {"version": task.benchmark.version, "model_files": model_files(settings.model)}
        if not wanted["model_files"] or any(results.get(key) != value for key, value in wanted.items()):
            return None
        samples = read_samples(task.place / SAMPLES)
    except (OSError, ValueError, AttributeError):
        return None
    same = [sample.id for sample in samples] == [item.id for item in task.comparisons]
    return samples if same else None


def against(place: str | None, benchmark: Benchmark) -> list[Sample] | None:
    """The samples of another model: in a folder of results, or in a run that was judged on the same benchmark.

    Raises:
        ConfigError: there are none.
    """
    if place is None:
        return None
    folders = places(Path(place), benchmark.name, benchmark.version)
    file = next((folder / SAMPLES for folder in folders if (folder / SAMPLES).is_file()), None)
    if file is None:
        raise ConfigError(
            f"against: expected a folder with {SAMPLES}, or a run with {EVAL}/{benchmark.name}/{SAMPLES}; found neither in {place}; "
            f"{how_to_make(place, benchmark)}"
        )
    return read_samples(file)


def diagnose(task: Task, subject: Subject, parts: Mapping[str, Diagnostic], settings: DiagnoseSettings) -> dict[str, Any]:
    """One benchmark: findings, files, and what is printed."""
    found: dict[str, Any] = {
        "benchmark": task.benchmark.name, "version": task.benchmark.version, "model": str(checkpoint.resolve(settings.model)),
        "config_sha256": model_files(settings.model).get("config.json"), "against": settings.against,
        "items": len(subject.samples), "items_not_scored": sum(sample.rewards is None for sample in subject.samples),
    }  # fmt: skip
    print(f"\n{task.benchmark.name}: {found['items']:,} items, {found['items_not_scored']:,} of them could not be scored")
    if not len(subject.pairs):
        reasons = "".join(f"; {note}" for note in task.benchmark.notes)
        print(f"no pair has two rewards, so that nothing can be said of margins, calibration or length{reasons}")
    for name, part in parts.items():
        numbers = part.measure(subject)
        if numbers is not None:
            found[name] = numbers
            print(f"\n{part.told(numbers)}")
    write_json(task.place / DIAGNOSTICS, found)
    renew_report(task.place)
    print(f"\ndiagnostics: {task.place / DIAGNOSTICS}")
    return found

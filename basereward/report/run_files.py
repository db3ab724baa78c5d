"""A run directory -> `RunFiles`: what its files say, read once. A file that is absent or broken leaves its part empty."""

from __future__ import annotations

import json
import logging
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from basereward.checkpoint import FINAL
from basereward.diagnostics.pairs import Pairs, pairs_of
from basereward.errors import DataError
from basereward.report.markup import is_number
from basereward.report.scored_pairs import findings
from basereward.report.whose import Final
from basereward.results_folder import EVAL, RESULTS
from basereward.samples import SAMPLES, Sample, read_samples
from basereward.significance import AGAINST

GALLERY, EVAL_GALLERY, DIAGNOSTICS = "report.json", "gallery.json", "diagnostics.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """One folder of results: what a benchmark says of a model."""

    name: str
    """Of the benchmark; of the folder where the results do not say."""
    results: Mapping[str, Any]
    """results.json."""
    samples: Sequence[Sample]
    """samples.jsonl; none where it is absent or not of this kind."""
    gallery: Mapping[str, Any]
    """gallery.json; see `gallery.gallery`."""
    diagnostics: Mapping[str, Any]
    """diagnostics.json of `basereward diagnose`."""
    against: Mapping[str, Any]
    """against.json: `significance.compared` with the evaluation that `against=` named."""
    folder: str = ""
    """In the run, such as eval/demo."""
    other_weights: str = ""
    """Whose they are, in words, where they are not the run's final model's; see `whose.Final.others`."""

    @cached_property
    def pairs(self) -> Pairs:
        """What was scored, for charts."""
        return pairs_of(self.samples)

    @cached_property
    def findings(self) -> Mapping[str, Any]:
        """Name of a diagnostic -> its numbers."""
        return findings(self.samples, self.pairs, self.diagnostics)


@dataclass(frozen=True)
class RunFiles:
    """What a page is made of."""

    name: str
    config: Mapping[str, Any]
    config_text: str
    manifest: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: list[dict[str, Any]]
    """The lines of metrics.jsonl, in order of steps."""
    evaluations: list[Evaluation]
    """Of the final model: one for each folder in eval/, in order of their names."""
    of_others: list[Evaluation]
    """What lies in eval/ too and is of other weights: of a checkpoint, of another model, or of an earlier state of the final one."""
    gallery: Mapping[str, Any]
    """report.json; see `gallery.gallery`."""
    num_parameters: int | None
    """Of final/."""
    model_type: str | None
    """Of final/: the kind of its backbone, such as qwen2_5_vl."""
    is_finished: bool

    @property
    def is_results_alone(self) -> bool:
        """Whether there is nothing of a training: the folder of an evaluation with `out=`."""
        return bool(self.evaluations) and not self.metrics and not self.config

    @cached_property
    def num_steps(self) -> int:
        """Optimizer steps that were logged."""
        return max((row["step"] for row in self.metrics), default=0)

    @cached_property
    def best(self) -> tuple[int, float] | None:
        """(step, accuracy) of the first best validation."""
        return max(self.series("eval_accuracy"), key=lambda point: point[1], default=None)

    def series(self, key: str) -> list[tuple[int, float]]:
        """(step, value) wherever the key was logged with a finite value."""
        return [(row["step"], row[key]) for row in self.metrics if is_number(row.get(key))]

    def last(self, key: str) -> float | None:
        """The last logged value, finite or not."""
        return next((row[key] for row in reversed(self.metrics) if key in row), None)

    def typical(self, key: str) -> float | None:
        """The median over log lines: a slow first step and a pause of the machine do not move it."""
        values = [value for _, value in self.series(key)]
        return median(values) if values else None

    def not_numbers(self, key: str) -> list[int]:
        """Steps at which the key was logged as NaN or infinite."""
        return [row["step"] for row in self.metrics if isinstance(row.get(key), float) and not math.isfinite(row[key])]

    def setting(self, key: str) -> Any:
        """A value of the config by its dotted key; None where it is absent."""
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return node


def read_run(run_dir: Path) -> RunFiles:
    """Everything a page shows of a run, finished or not."""
    config_text = _read(run_dir / "config.yaml")
    config = _yaml(config_text)
    found = read_evaluations(run_dir, _trained_as(config))
    return RunFiles(
        name=run_dir.resolve().name,
        config=config,
        config_text=config_text,
        manifest=_json(run_dir / "data_manifest.json"),
        environment=_json(run_dir / "environment.json"),
        metrics=read_metrics(run_dir / "metrics.jsonl"),
        evaluations=[each for each in found if not each.other_weights],
        of_others=[each for each in found if each.other_weights],
        gallery=_json(run_dir / GALLERY),
        num_parameters=count_parameters(run_dir / FINAL),
        model_type=_json(run_dir / FINAL / "config.json").get("model_type"),
        is_finished=(run_dir / FINAL / "config.json").is_file(),
    )


def _trained_as(config: Mapping[str, Any]) -> str | None:
    """The run's directory as its config has it."""
    run = config.get("run")
    found = run.get("dir") if isinstance(run, Mapping) else None
    return found if isinstance(found, str) else None


def read_evaluations(run_dir: Path, trained_as: str | None = None) -> list[Evaluation]:
    """The results in a run; or those of one folder that holds them itself, as `out=` of an evaluation names it.

    Args:
        trained_as: the run's directory when it was trained.
    """
    files = [file for file in (run_dir / RESULTS, *sorted((run_dir / EVAL).glob(f"*/{RESULTS}"))) if file.is_file()]
    is_run = any((run_dir / name).exists() for name in (FINAL, "config.yaml", "metrics.jsonl"))
    final = Final(run_dir, trained_as) if is_run else None
    return [_read_evaluation(run_dir, file, results, final) for file in files if (results := _json(file))]


def _read_evaluation(run_dir: Path, file: Path, results: Mapping[str, Any], final: Final | None) -> Evaluation:
    """One folder of results; in one that is no run, they are whose they say."""
    folder, place = file.parent, file.parent.relative_to(run_dir).as_posix()
    name = str(results.get("benchmark") or folder.name)
    others = final.others(results, file.stat().st_mtime) if final else ""
    shown = (_json(folder / file) for file in (EVAL_GALLERY, DIAGNOSTICS, AGAINST))
    return Evaluation(name, results, _samples(folder / SAMPLES), *shown, folder=place, other_weights=others)


def _samples(file: Path) -> Sequence[Sample]:
    try:
        return read_samples(file) if file.is_file() else ()
    except DataError as error:
        logger.warning("%s; the report leaves its charts out", error)
        return ()


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """The lines that are whole and have a step; a kill may have cut the last one short."""
    rows = []
    for line in _read(file).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return sorted(rows, key=lambda row: row["step"])


def count_parameters(folder: Path) -> int | None:
    """Numbers stored in a folder's safetensors files, from their headers alone; None where there are none."""
    files = sorted(folder.glob("*.safetensors"))
    try:
        return sum(_count(file) for file in files) if files else None
    except (OSError, ValueError, struct.error) as error:
        logger.warning("%s: cannot count parameters (%s)", folder, error)
        return None


def _count(file: Path) -> int:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _json(file: Path) -> Mapping[str, Any]:
    text = _read(file)
    try:
        value = json.loads(text) if text else {}
    except ValueError as error:
        logger.warning("%s: not JSON (%s); the report leaves it out", file, error)
        return {}
    return value if isinstance(value, Mapping) else {}


def _yaml(text: str) -> Mapping[str, Any]:
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        logger.warning("config.yaml: not YAML (%s); the report leaves it out", error)
        return {}
    return value if isinstance(value, Mapping) else {}

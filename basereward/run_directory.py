"""A run's directory: made when training can start, gone again when it could not, complete when it is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from basereward.checkpoint import FINAL
from basereward.compose import to_yaml
from basereward.errors import ConfigError
from basereward.runtime import environment, write_json
from basereward.settings import TrainSettings
from basereward.trainer import checkpoints

CONFIG = "config.yaml"
# Keys that may differ when a run is resumed: they change where and how fast it computes, not what.
FREE_ON_RESUME = (
    "run.resume",
    "run.log_every",
    "run.keep",
    "run.device",
    "run.tensorboard",
    "batch.workers",
    "batch.token_budget",
)


def is_finished(run_dir: Path) -> bool:
    """Whether the run has its final model."""
    return (run_dir / FINAL / "config.json").is_file()


@contextmanager
def run_directory(settings: TrainSettings) -> Iterator[Path]:
    """The directory to prepare a run in. If preparing fails, a directory made here is removed again.

    Raises:
        ConfigError: it holds a run already and ``run.resume`` is false, or was started with another config.
    """
    run_dir = Path(settings.run.dir)
    check_free_or_same(run_dir, settings)
    existed = run_dir.exists()
    run_dir.mkdir(parents=True, exist_ok=True)
    try:
        yield run_dir
    except BaseException:
        if not existed:
            shutil.rmtree(run_dir, ignore_errors=True)
        raise


def check_free_or_same(run_dir: Path, settings: TrainSettings) -> None:
    """An empty or new directory, or, with ``run.resume=true``, one that was started with the same config."""
    if run_dir.is_file():
        raise ConfigError(f"run.dir: expected a directory, {run_dir} is a file")
    if not run_dir.exists() or not any(run_dir.iterdir()):
        return
    if not settings.run.resume:
        raise ConfigError(
            f"run.dir: {run_dir} is not empty. Add run.resume=true to continue the run in it, or choose another run.dir."
        )
    if (run_dir / CONFIG).is_file():
        different = differing_keys(run_dir, settings)
        if different:
            listing = "\n".join(f"  {key}: {old!r} then, {new!r} now" for key, old, new in different)
            raise ConfigError(
                f"run.resume: the run in {run_dir} was started with another config:\n{listing}\nUse another run.dir."
            )


def differing_keys(run_dir: Path, settings: TrainSettings) -> list[tuple[str, Any, Any]]:
    """(dotted key, value then, value now) for what differs from the stored config and would change the run."""
    import yaml

    then = dict(_flat(yaml.safe_load((run_dir / CONFIG).read_text(encoding="utf-8"))))
    now = dict(_flat(yaml.safe_load(to_yaml(settings))))
    keys = [key for key in sorted(then.keys() | now.keys()) if key not in FREE_ON_RESUME]
    return [(key, then.get(key), now.get(key)) for key in keys if then.get(key) != now.get(key)]


def newest_checkpoint(run_dir: Path) -> Path | None:
    """The newest complete checkpoint; a half-written one has another name and is passed over."""
    found = checkpoints(run_dir / "checkpoints")
    return found[-1] if found else None


def write_records(run_dir: Path, settings: TrainSettings, overrides: Sequence[str], manifest: dict, commit: str | None) -> None:
    """Config, overrides, environment and data manifest, before the first step."""
    (run_dir / CONFIG).write_text(to_yaml(settings), encoding="utf-8")
    (run_dir / "overrides.txt").write_text("".join(f"{line}\n" for line in overrides), encoding="utf-8")
    write_json(run_dir / "environment.json", environment() | {"backbone_commit": commit})
    write_json(run_dir / "data_manifest.json", manifest)


def cut_metrics(file: Path, step: int) -> None:
    """Removes log lines after ``step``, which a resumed run writes again."""
    if not file.is_file():
        return
    rows = [line for line in file.read_text(encoding="utf-8").splitlines() if _step(line) <= step]
    file.write_text("".join(f"{line}\n" for line in rows), encoding="utf-8")


def _step(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except ValueError:
        return float("inf")  # a line that a kill cut short


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{prefix}{key}.")
    else:
        yield prefix.removesuffix("."), node

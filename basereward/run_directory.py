"""A run's directory: made when training can start, gone again when it could not, complete when it is done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from basereward.checkpoint import FINAL
from basereward.compose import to_yaml
from basereward.errors import ConfigError
from basereward.run_lock import LOCK, RunInUse, lock, unlock
from basereward.runtime import environment, write_bytes, write_json
from basereward.settings import TrainSettings
from basereward.training_state import check_resumable, checkpoints

CONFIG = "config.yaml"
MANIFEST = "data_manifest.json"
REPORT = "report.html"
# What a grid keeps of a run in its directory, before the run begins.
LOG_OF_A_GRID = "log.txt"
OF_A_GRID = {LOG_OF_A_GRID, "state.json", ".writing-state.json"}
# What a run killed before it wrote its config may have left.
BEFORE_CONFIG = {LOCK, "backbone", ".writing-backbone", f".writing-{CONFIG}"}
RESTORE = "Restore the file, or start anew in another run.dir."
# Keys that may differ when a run is resumed: they change where and how fast it computes, not what.
FREE_ON_RESUME = (
    "run.resume",
    "run.pause_at",
    "run.log_every",
    "run.keep",
    "run.device",
    "run.tensorboard",
    "batch.workers",
    "batch.token_budget",
    "cache.dir",
    "cache.max_gib",
    "cache.vision",
    "cache.hidden",
    "backbone.gradient_checkpointing",
    "compute.attention",
    "compute.liger",
    "compute.compile",
)


def is_finished(run_dir: Path) -> bool:
    """Whether the run has its final model and its report, which a kill between the two leaves for the next start to write."""
    has_report = (run_dir / REPORT).is_file() or not newest_checkpoint(run_dir)
    return (run_dir / FINAL / "config.json").is_file() and has_report


def is_paused(run_dir: Path, step: int | None) -> bool:
    """Whether the run's newest checkpoint is already at the step that it is to pause at."""
    newest = newest_checkpoint(run_dir)
    return step is not None and newest is not None and int(newest.name.rpartition("-")[2]) >= step


@contextmanager
def run_directory(settings: TrainSettings) -> Iterator[Path]:
    """The directory to prepare a run in. If preparing fails, a directory made here is removed again.

    Raises:
        ConfigError: it holds a run already and ``run.resume`` is false, or was started with another config.
    """
    run_dir = Path(settings.run.dir)
    existed = run_dir.exists()
    if (run_dir / LOCK).exists():  # before the run is looked at: another process may be changing it
        lock(run_dir)
    try:
        check_free_or_same(run_dir, settings)
        run_dir.mkdir(parents=True, exist_ok=True)
        lock(run_dir)
        yield run_dir
    except RunInUse:
        raise
    except BaseException:
        unlock(run_dir)
        if not existed:
            shutil.rmtree(run_dir, ignore_errors=True)
        raise


def check_free_or_same(run_dir: Path, settings: TrainSettings) -> None:
    """An empty or new directory, or, with ``run.resume=true``, one that was started with the same config."""
    if run_dir.is_file():
        raise ConfigError(f"run.dir: expected a directory, {run_dir} is a file")
    present = {path.name for path in run_dir.iterdir()} - OF_A_GRID if run_dir.exists() else set()
    if not present - {LOCK}:
        return
    newest = newest_checkpoint(run_dir)
    begun = LOCK in present and present <= BEFORE_CONFIG  # killed before it had written its config
    if not begun and not newest and CONFIG not in present:
        raise ConfigError(
            f"run.dir: expected a new or empty directory, or one with a run; {run_dir} holds other files: {sorted(present)[:6]}. "
            "Choose another run.dir."
        )
    if not settings.run.resume:
        raise ConfigError(
            f"run.dir: {run_dir} is not empty. Add run.resume=true to continue the run in it, or choose another run.dir."
        )
    if not begun:
        check_same_config(run_dir, settings)
    if newest:
        check_resumable(newest)


def check_same_config(run_dir: Path, settings: TrainSettings) -> None:
    """Refuses to continue a run with another config than its own.

    Raises:
        ConfigError: the stored config is missing, cannot be read, or differs; with the keys.
    """
    different = differing_keys(run_dir, settings)
    if different:
        listing = "\n".join(f"  {key}: {old!r} then, {new!r} now" for key, old, new in different)
        raise ConfigError(f"run.resume: the run in {run_dir} was started with another config:\n{listing}\nUse another run.dir.")


def differing_keys(run_dir: Path, settings: TrainSettings) -> list[tuple[str, Any, Any]]:
    """(dotted key, value then, value now) for what differs from the stored config and would change the run; its place does not."""
    import yaml

    then = _without_place(dict(flat(_stored_config(run_dir / CONFIG))))
    now = _without_place(dict(flat(yaml.safe_load(to_yaml(settings)))))
    keys = [key for key in sorted(then.keys() | now.keys()) if key not in FREE_ON_RESUME]
    return [(key, then.get(key), now.get(key)) for key in keys if then.get(key) != now.get(key)]


def _without_place(config: dict[str, Any]) -> dict[str, Any]:
    """A flat config as it would be wherever the run lay: without ``run.dir``, and its own backbone by the path below that.

    A run that was moved or copied goes on in its new place; a backbone that was made for it moved along.
    """
    place, model = config.get("run.dir"), config.get("backbone.path")
    kept = {key: value for key, value in config.items() if key != "run.dir"}
    if isinstance(place, str) and isinstance(model, str) and Path(os.path.abspath(place)) in Path(os.path.abspath(model)).parents:
        kept["backbone.path"] = os.path.join("<run.dir>", os.path.relpath(model, place))
    return kept


def _stored_config(file: Path) -> dict:
    import yaml

    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: expected the config the run was started with, found no such file. {RESTORE}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: expected the config of the run, found what is not YAML ({_line(error)}). {RESTORE}"
        ) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{file}: expected the config of the run, found {str(config)[:60]!r}. {RESTORE}")
    return config


def newest_checkpoint(run_dir: Path) -> Path | None:
    """The newest complete checkpoint; a half-written one has another name and is passed over."""
    found = checkpoints(run_dir / "checkpoints")
    return found[-1] if found else None


def write_records(run_dir: Path, settings: TrainSettings, overrides: Sequence[str], manifest: dict, commit: str | None) -> None:
    """Config, overrides, environment and data manifest, before the first step.

    Raises:
        ConfigError: the run has a checkpoint that was trained on other data.
    """
    if newest_checkpoint(run_dir):
        check_same_data(run_dir, manifest)
    write_bytes(run_dir / CONFIG, to_yaml(settings).encode("utf-8"))
    (run_dir / "overrides.txt").write_text("".join(f"{line}\n" for line in overrides), encoding="utf-8")
    write_json(run_dir / "environment.json", environment() | {"backbone_commit": commit})
    write_json(run_dir / MANIFEST, manifest)


def check_same_data(run_dir: Path, manifest: dict) -> None:
    """Refuses to continue a run on other data than it was started with; where they lie does not matter.

    Raises:
        ConfigError: the stored manifest is missing, cannot be read, or differs; with what differs.
    """
    file = run_dir / MANIFEST
    try:
        then = _identity(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file}: expected the account of the run's data, found what cannot be read ({_line(error)}). {RESTORE}"
        ) from error
    now = _identity(json.loads(json.dumps(manifest)))
    different = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    if different:
        listing = "\n".join(f"  {key}: {_short(then.get(key))} then, {_short(now.get(key))} now" for key in different)
        raise ConfigError(
            f"run.resume: the data of the run in {run_dir} have changed since it was started:\n{listing}\n"
            "Restore the data, or use another run.dir."
        )


def _identity(manifest: dict) -> dict[str, Any]:
    """What of a manifest decides which comparisons are trained on and validated."""
    facts = {"split.val_ids": manifest["split"]["val_ids"]}
    for group in ("sources", "val_sources"):
        for name, account in manifest[group].items():
            facts |= {f"{group}.{name}.{key}": account.get(key) for key in ("sha256", "rows_read", "used", "dropped")}
    return facts


def _short(value: Any) -> str:
    return f"{len(value)} ids" if isinstance(value, list) else str(value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


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


def flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of each leaf of a config."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flat(value, f"{prefix}{key}.")
    else:
        yield prefix.removesuffix("."), node

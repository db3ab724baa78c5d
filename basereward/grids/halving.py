"""Successive halving: settings that are clearly worse by validation accuracy at a common step are stopped, all their seeds together."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from basereward.errors import ConfigError, near_matches
from basereward.grids.cells import Cell, settings_of
from basereward.grids.folder import Folder
from basereward.grids.launchers.base import Launcher
from basereward.grids.running import Runs
from basereward.grids.state import PAUSED, STOPPED, stored_state, write_state
from basereward.run_directory import MANIFEST, newest_checkpoint
from basereward.runtime import write_json

RUNGS = "rungs.json"


@dataclass(frozen=True)
class Halving:
    """The rule.

    Attributes:
        rungs: steps at which settings are compared, multiples of run.eval_every. keep: share of the settings that goes on in any case.
        z: by how many standard errors of a difference another one must be below the best to be stopped.
    """

    rungs: list[int]
    keep: float = 0.5
    z: float = 2.0

    @property
    def in_words(self) -> str:
        """The rule as the record and the report say it."""
        return (
            f"settings by their mean validation accuracy over replicates; the best {self.keep:.0%} go on, and so does every other one that "
            f"lies less than {self.z:g} standard errors of the difference below the best; the error is pooled over the replicates of all "
            "settings, and at least that of the number of validation comparisons; a setting is stopped with all its replicates"
        )


@dataclass(frozen=True)
class Score:
    """A setting at a rung: its mean over ``n`` replicates, how far below the best it may be, and whether it goes on."""

    setting: dict[str, str]
    mean: float
    n: int
    limit: float
    goes_on: bool


def read_halving(given: Mapping[str, Any], cells: Sequence[Cell]) -> Halving:
    """The rule of a grid's file.

    Raises:
        ConfigError: unknown keys, values that make no sense, or a rung at which some cell does not validate.
    """
    known = [item.name for item in fields(Halving)]
    for key in given:
        if key not in known:
            raise ConfigError(f"ablation.halving.{key}: no such key; {near_matches(str(key), known)}")
    rungs = given.get("rungs")
    if not isinstance(rungs, list) or not rungs or rungs != sorted(set(rungs)):
        raise ConfigError(f"ablation.halving.rungs: expected steps that rise, such as [100, 200]; found {rungs!r}; correct it")
    rule = Halving(**given)
    if not 0 < rule.keep < 1 or not rule.z >= 0:
        raise ConfigError(f"ablation.halving: expected 0 < keep < 1 and z from 0; found keep={rule.keep}, z={rule.z}; correct it")
    for cell in cells:
        run = settings_of(cell).run
        wrong = [step for step in rungs if step % run.eval_every or (run.max_steps is not None and step >= run.max_steps)]
        if wrong:
            raise ConfigError(
                f"ablation.halving.rungs: expected multiples of run.eval_every={run.eval_every} below run.max_steps={run.max_steps}; "
                f"found {wrong[0]} for {cell.name}; correct it"
            )
    return rule


def finish_by_rungs(runs: Runs, rule: Halving, launcher: Launcher) -> None:
    """Brings all runs to the first rung, those that go on to the next, and the rest of them to the end; ``rungs.json`` tells of each."""
    alive, told = list(runs.cells), []
    for number, step in enumerate(rule.rungs):
        unfinished = {cell.name for cell in runs.left()}
        behind = [cell for cell in alive if cell.name in unfinished and not is_past(runs.folder.run_dir(cell), step)]
        print(
            f"rung {number + 1} of {len(rule.rungs)}, step {step}: {len(behind)} of {len(alive)} runs to bring there", flush=True
        )
        runs.bring(launcher, behind, pause_at=step)
        accuracies = {
            cell.name: accuracy for cell in alive if (accuracy := accuracy_at(runs.folder.run_dir(cell), step)) is not None
        }
        scores = decide(rule, alive, accuracies, validation_size(runs.folder, alive))
        ends = [cell for cell in alive if not _goes_on(cell, scores)]
        told.append({"rung": number, "step": step, "scores": accuracies, "stopped": [cell.name for cell in ends],
                     "settings": [asdict(score) for score in scores], "rule": rule.in_words})  # fmt: skip
        write_json(runs.folder.root / RUNGS, told)
        _stop(runs.folder, ends, alive)
        alive = [cell for cell in alive if cell not in ends]
        print(f"  stopped: {', '.join(cell.name for cell in ends) or 'none'}", flush=True)
    kept = {cell.name for cell in alive}
    runs.bring(launcher, [cell for cell in runs.left() if cell.name in kept])


def decide(rule: Halving, cells: Sequence[Cell], accuracies: Mapping[str, float], num_val: int) -> list[Score]:
    """What becomes of each setting, best first; one without any accuracy (all its runs failed) is not among them.

    Args:
        num_val: validation comparisons behind an accuracy.
    """
    found: dict[str, list[float]] = defaultdict(list)
    settings = {}
    for cell in cells:
        if cell.name in accuracies:
            key = json.dumps(cell.setting, sort_keys=True)
            settings[key] = cell.setting
            found[key].append(accuracies[cell.name])
    if not found:
        return []
    ranked = sorted(found, key=lambda key: -_mean(found[key]))
    kept = math.ceil(rule.keep * len(ranked))
    best = found[ranked[0]]
    variance = max(_pooled_variance(found.values()), _binomial_variance(_mean(best), num_val))
    scores = []
    for place, key in enumerate(ranked):
        limit = rule.z * math.sqrt(variance * (1 / len(best) + 1 / len(found[key])))
        goes_on = place < kept or _mean(best) - _mean(found[key]) < limit
        scores.append(Score(settings[key], _mean(found[key]), len(found[key]), limit if place else 0.0, goes_on))
    return scores


def accuracy_at(run_dir: Path, step: int) -> float | None:
    """Validation accuracy of a run at a step; None where it did not come there."""
    try:
        lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        if "eval_accuracy" in line and (row := json.loads(line))["step"] == step:
            return row["eval_accuracy"]
    return None


def is_past(run_dir: Path, step: int) -> bool:
    """Whether a run has a checkpoint at a step or beyond."""
    newest = newest_checkpoint(run_dir)
    return newest is not None and int(newest.name.rpartition("-")[2]) >= step


def validation_size(folder: Folder, cells: Sequence[Cell]) -> int:
    """Validation comparisons of the grid's runs, the fewest; 1 where no run says it."""
    sizes = []
    for cell in cells:
        try:
            manifest = json.loads((folder.run_dir(cell) / MANIFEST).read_text(encoding="utf-8"))
            sizes.append(len(manifest["split"]["val_ids"]) or sum(one["used"] for one in manifest["val_sources"].values()))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return max(1, min(sizes, default=1))


def _goes_on(cell: Cell, scores: Sequence[Score]) -> bool:
    return next((score.goes_on for score in scores if score.setting == cell.setting), True)


def _stop(folder: Folder, ends: Sequence[Cell], alive: Sequence[Cell]) -> None:
    """Marks what is stopped, and takes the mark from what was stopped by an earlier decision on fewer cells."""
    for cell in alive:
        run_dir = folder.run_dir(cell)
        state = stored_state(run_dir)
        word = STOPPED if cell in ends else PAUSED
        if state.state in (STOPPED, PAUSED) and state.state != word:
            state.state = word
            write_state(run_dir, state)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _pooled_variance(groups: Any) -> float:
    """Of one replicate, over the replicates of all settings; 0 where no setting has two."""
    squares = sum((value - _mean(group)) ** 2 for group in groups for value in group)
    freedom = sum(len(group) - 1 for group in groups)
    return squares / freedom if freedom else 0.0


def _binomial_variance(share: float, number: int) -> float:
    """Of a share that was counted on so many comparisons."""
    return share * (1 - share) / number

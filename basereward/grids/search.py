"""Looks for values of keys instead of crossing them: Optuna proposes, validation accuracy decides, trials are cells like others."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from basereward.errors import ConfigError, missing_extra, near_matches
from basereward.grids.cells import Cell, cells_of
from basereward.grids.folder import Folder
from basereward.grids.launchers.base import Launcher
from basereward.grids.running import Runs
from basereward.grids.spec import GridSpec
from basereward.grids.values import label, override_key
from basereward.runtime import write_json

TRIALS = "search.json"
SMALLEST = {"trials": 1, "batch": 1, "startup": 0, "seed": 0}
DIGITS = 3  # of a proposed number: more would only make names long


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        keys: key of the training config -> {low, high, log} or {choices}. trials: settings to try, each with all replicates.
        batch: trials that are proposed together, so that they can run beside one another. startup: trials drawn at random first.
        seed: of the proposals; they do not depend on the launcher.
    """

    keys: dict[str, Any]
    trials: int
    batch: int = 4
    startup: int = 8
    seed: int = 0


@dataclass
class Trial:
    """A proposal, and the mean over its replicates of the best validation accuracy; None while it is not known, or where all failed."""

    number: int
    params: dict[str, Any]
    score: float | None = None
    cells: list[str] = field(default_factory=list)
    is_over: bool = False


def read_search(given: Mapping[str, Any]) -> Search:
    """The search of a grid's file.

    Raises:
        ConfigError: unknown keys, or ranges that make no sense.
    """
    known = [item.name for item in fields(Search)]
    for key in given:
        if key not in known:
            raise ConfigError(f"ablation.search.{key}: no such key; {near_matches(str(key), known)}")
    if not isinstance(given.get("keys"), Mapping) or not given["keys"] or "trials" not in given:
        raise ConfigError(
            "ablation.search: expected {keys: {optim.lr: {low: 1e-6, high: 1e-3, log: true}}, trials: 12}; "
            f"found {dict(given)}; correct it"
        )
    search = Search(**given)
    for key, lowest in SMALLEST.items():
        value = getattr(search, key)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise ConfigError(f"ablation.search.{key}: expected a whole number from {lowest}; found {value!r}; correct it")
    for key, limits in search.keys.items():
        if not isinstance(limits, Mapping):
            raise ConfigError(f"ablation.search.keys.{key}: expected {{low, high, log}} or {{choices: [...]}}; found {limits!r}")
        if set(limits) == {"choices"} and limits["choices"] and isinstance(limits["choices"], list):
            continue
        low, high = limits.get("low"), limits.get("high")
        numbers = all(isinstance(value, int | float) for value in (low, high))
        if set(limits) - {"low", "high", "log"} or not numbers or not low < high or (limits.get("log") and low <= 0):
            raise ConfigError(
                f"ablation.search.keys.{key}: expected {{low, high, log}} with low < high, or {{choices: [...]}}; found {limits}"
            )
    return search


def check_library() -> None:
    """Refuses to begin without Optuna.

    Raises:
        MissingDependency: with the line that installs it.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise missing_extra("optuna", "search", "ablation.search") from error


def trial_cells(spec: GridSpec, params: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """The cells of trials: their values run in step, crossed with the grid's own factors, of which there is at most the replicate.

    Raises:
        ConfigError: as ``cells_of``, or factors beside the replicate.
    """
    others = [key for key in spec.factors if key != spec.replicate]
    if others:
        raise ConfigError(
            f"ablation.search: expected no factors beside the replicate; found {', '.join(others)}; put them into base, or cross them "
            "in a grid without a search"
        )
    keys = list(params[0])
    tried = {key: [trial[key] for trial in params] for key in keys}
    return cells_of(replace(spec, factors=tried | spec.factors, zip=[keys] if len(keys) > 1 else [], search=None, baseline={}))


def spread(search: Search) -> list[dict[str, Any]]:
    """Trials evenly over the ranges, each once: what a search costs can be told before it is known which ones it tries."""
    points = [
        {key: _at(limits, (number * step % search.trials + 0.5) / search.trials) for step, (key, limits) in _numbered(search)}
        for number in range(search.trials)
    ]
    return unique(points)


def unique(params: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each combination once: small ranges have fewer of them than trials."""
    return list({json.dumps(one, sort_keys=True): one for one in params}.values())


def _numbered(search: Search) -> list[tuple[int, tuple[str, Any]]]:
    """Each key with a step that has no common divisor with the number of trials, so that keys do not rise together."""
    steps = (step for step in itertools.count(1) if math.gcd(step, search.trials) == 1)
    return [(next(steps), item) for item in search.keys.items()]


def propose(search: Search, trials: Sequence[Trial]) -> list[Trial]:
    """The next batch after those whose scores are known; the same whenever it is asked for.

    Args:
        trials: all so far, each with its score, or None where every run of it failed.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=search.seed + len(trials), n_startup_trials=search.startup, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    ranges = {key: _distribution(limits) for key, limits in search.keys.items()}
    for trial in trials:
        if trial.score is not None:
            study.add_trial(optuna.trial.create_trial(params=trial.params, distributions=ranges, value=trial.score))
    number = min(search.batch, search.trials - len(trials))
    asked = [study.ask(ranges) for _ in range(number)]
    return [
        Trial(len(trials) + place, {key: _within(value, search.keys[key]) for key, value in one.params.items()})
        for place, one in enumerate(asked)
    ]


def stored_trials(folder: Folder) -> list[Trial]:
    """What an earlier start of the search tried."""
    try:
        return [Trial(**row) for row in json.loads((folder.root / TRIALS).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def store_trials(folder: Folder, trials: Sequence[Trial]) -> None:
    """Writes all trials, whole."""
    write_json(folder.root / TRIALS, [asdict(trial) for trial in trials])


def best_accuracy(run_dir: Path) -> float | None:
    """The best validation accuracy of a run; None where it has none."""
    try:
        lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return max((json.loads(line)["eval_accuracy"] for line in lines if '"eval_accuracy"' in line), default=None)


def run_search(spec: GridSpec, search: Search, runs: Runs, launcher: Launcher) -> None:
    """Tries what is proposed, batch by batch, from where an earlier start was; ``search.json`` tells of each trial."""
    folder, trials = runs.folder, stored_trials(runs.folder)
    for trial in trials:
        trial.is_over = trial.score is not None  # one whose runs failed is tried again
    while len(trials) < search.trials or not all(trial.is_over for trial in trials):
        if all(trial.is_over for trial in trials):
            trials += propose(search, trials)
            store_trials(folder, trials)
        runs.cells = trial_cells(spec, unique([trial.params for trial in trials]))
        folder.write(spec, runs.cells)
        now = [trial for trial in trials if not trial.is_over]
        for trial in now:
            trial.cells = [cell.name for cell in runs.cells if cell.setting == labels(trial.params)]
        wanted = {name for trial in now for name in trial.cells}
        print(f"trials {now[0].number + 1} to {now[-1].number + 1} of {search.trials}", flush=True)
        runs.bring(launcher, [cell for cell in runs.left() if cell.name in wanted])
        for trial in now:
            trial.is_over, trial.score = True, mean_accuracy(folder, trial.cells)
        store_trials(folder, trials)
    best = max((trial for trial in trials if trial.score is not None), key=lambda trial: trial.score, default=None)
    if best is not None:
        print(f"best of {len(trials)} trials: {labels(best.params)}, mean validation accuracy {100 * best.score:.1f}%")


def labels(params: Mapping[str, Any]) -> dict[str, str]:
    """A trial's values as the setting of its cells has them."""
    return {override_key(key): label(value) for key, value in params.items()}


def mean_accuracy(folder: Folder, names: Sequence[str]) -> float | None:
    """The mean over runs of their best validation accuracy; None where none has one."""
    found = [accuracy for name in names if (accuracy := best_accuracy(folder.run_dir(name))) is not None]
    return sum(found) / len(found) if found else None


def _distribution(limits: Mapping[str, Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if "choices" in limits:
        return CategoricalDistribution(list(limits["choices"]))
    kind = IntDistribution if isinstance(limits["low"], int) and isinstance(limits["high"], int) else FloatDistribution
    return kind(limits["low"], limits["high"], log=bool(limits.get("log")))


def _at(limits: Mapping[str, Any], share: float) -> Any:
    if "choices" in limits:
        return limits["choices"][int(share * len(limits["choices"]))]
    low, high = limits["low"], limits["high"]
    value = low * (high / low) ** share if limits.get("log") else low + share * (high - low)
    return round(value) if isinstance(low, int) and isinstance(high, int) else _rounded(value)


def _within(value: Any, limits: Mapping[str, Any]) -> Any:
    """Rounded, and not out of its range by that."""
    rounded = _rounded(value)
    return min(max(rounded, limits["low"]), limits["high"]) if isinstance(value, float) and "low" in limits else rounded


def _rounded(value: Any) -> Any:
    """A number as it stands in the name of a run.

    >>> _rounded(0.000123456), _rounded("silu")
    (0.000123, 'silu')
    """
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value

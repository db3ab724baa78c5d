"""What a run or a grid will cost, before anything starts.    basereward plan experiment=basereward_7b hardware=h100 gpus=8"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from basereward.compose import compose
from basereward.config_folders import groups
from basereward.costs.account import Assumptions, Cost, Estimator, Wanted
from basereward.costs.hardware import read_hardware
from basereward.costs.page import Head, as_json, page
from basereward.errors import ConfigError, near_matches
from basereward.grids.cells import Cell, cells_of, settings_of
from basereward.grids.command import GridCommand, in_one_list
from basereward.grids.folder import RUNS
from basereward.grids.search import read_search, trial_cells
from basereward.grids.spec import GridSpec
from basereward.grids.spec_checks import evaluate_settings
from basereward.grids.state import DONE, stored_state
from basereward.grids.values import override_key
from basereward.places import check_file
from basereward.runtime import set_up_logging, write_json
from basereward.settings import TrainSettings

RUN = "the run"


@dataclass
class TokenSettings:
    """Tokens of comparisons whose rows are not on this machine; an assumption, printed as one."""

    prompt: int = 55
    """Of the text before the responses, the chat template's included."""
    response: int = 150
    image: int | None = None
    """Of a picture; as many as ``backbone.max_pixels`` allows when null."""


@dataclass(kw_only=True)
class PlanSettings(GridCommand):
    """Everything ``basereward plan`` reads; other words of its command line are those of ``basereward train``."""

    hardware: dict[str, Any]
    """Config node of a device: an option of conf/hardware."""
    evaluate: list[Any] = field(default_factory=list)
    """Benchmarks after each run, beside those of the grid: options of conf/benchmark, or ``{benchmark: custom, overrides: [...]}``."""
    gpus: Any = 8
    """Devices that share each run; a list of numbers gives an answer for each."""
    mfu: float = 0.4
    """Share of the device's peak that a run reaches, where its YAML does not say."""
    tokens: TokenSettings = field(default_factory=TokenSettings)
    rows: dict[str, int] = field(default_factory=dict)
    """Source -> comparisons, in place of what its card says."""
    sample: int = 256
    """Comparisons of each source whose lengths are counted, where rows are here."""
    reserve_gib: float = 2.0
    """Memory of a device that CUDA and its libraries take."""
    out: str | None = None
    """File of the plan as JSON."""


SETTINGS = PlanSettings


def arrange(words: Sequence[str]) -> list[str]:
    """The command line as Hydra composes it: words of the plan, and those of training as one list.

    >>> arrange(["gpus=4", "experiment=demo", "run.seed=0,1"])
    ['gpus=4', "words=['experiment=demo','run.seed=0,1']"]

    Raises:
        ConfigError: a word of neither.
    """
    own, training = {item.name for item in fields(PlanSettings)} - {"words"}, {item.name for item in fields(TrainSettings)}
    mine, theirs = [], []
    for word in words:
        first = re.split(r"[.@/]", override_key(word))[0]
        if first not in own and first not in training | set(groups()):
            raise ConfigError(f"{first}: neither a key of the plan nor of training; {near_matches(first, own | training)}")
        (mine if first in own else theirs).append(word)
    return in_one_list(mine, theirs)


def read_words(words: Sequence[str]) -> PlanSettings:
    """The settings of a command line.

    Raises:
        ConfigError: as ``arrange`` and ``compose``.
    """
    return compose("plan", arrange(words), PlanSettings)


def plan(settings: PlanSettings) -> str:
    """The plan itself: nothing is started either way."""
    return page(_head(settings), *account(settings))


def run(settings: PlanSettings) -> int:
    """Prints the plan; returns the exit code."""
    set_up_logging()
    estimator, costs = account(settings)
    if settings.out is not None:
        out = Path(settings.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, as_json(_head(settings), estimator, costs))
    print(page(_head(settings), estimator, costs))
    return 0


def account(settings: PlanSettings) -> tuple[Estimator, list[Cost]]:
    """What every run costs, in their order.

    Raises:
        ConfigError: a value that cannot be used, or a figure that nobody knows, with the key that gives it.
    """
    _check(settings)
    tokens = settings.tokens
    assumptions = Assumptions(
        settings.mfu, tokens.prompt, tokens.response, tokens.image, settings.rows, settings.sample, settings.reserve_gib * 2**30
    )
    estimator = Estimator(read_hardware(settings.hardware), assumptions)
    return estimator, [estimator.cost(wanted) for wanted in wanted_runs(settings)]


def wanted_runs(settings: PlanSettings) -> list[Wanted]:
    """The cells of the grid, or the one run of the command line."""
    spec = settings.spec
    if not spec.factors and not spec.search:
        training = compose("train", [*settings.words, *_run_dir(settings.words)], TrainSettings)
        evaluate = [evaluate_settings(entry, "none") for entry in settings.evaluate]
        return [Wanted(RUN, _experiment(settings.words), training, evaluate, overrides=settings.words)]
    evaluate = [evaluate_settings(entry, "none") for entry in [*spec.evaluate, *settings.evaluate]]
    done = finished(settings.folder)
    return [
        Wanted(cell.name, _row(cell), settings_of(cell), evaluate, cell.hash in done, cell.overrides) for cell in trials(spec)
    ]


def trials(spec: GridSpec) -> list[Cell]:
    """The cells of a grid; of a search as many as it tries, each at the first of its values: which they will be changes no cost."""
    if not spec.search:
        return cells_of(spec)
    search = read_search(spec.search)
    first = {key: limits["choices"][0] if "choices" in limits else limits["low"] for key, limits in search.keys.items()}
    cells = trial_cells(spec, [first])
    return [replace(cell, setting={"trials": "each"}, hash="") for _ in range(search.trials) for cell in cells]


def finished(folder: Path) -> set[str]:
    """Hashes of the cells that a grid's folder holds finished, under whatever names; none where there is no such folder."""
    states = [stored_state(run_dir) for run_dir in (folder / RUNS).glob("*")]
    return {state.hash for state in states if state.state == DONE}


def _row(cell: Cell) -> str:
    return ", ".join(f"{key}={value}" for key, value in cell.setting.items()) or cell.name


def _run_dir(words: Sequence[str]) -> list[str]:
    return [] if any(override_key(word) == "run.dir" for word in words) else ["run.dir=runs/plan"]


def _experiment(words: Sequence[str]) -> str:
    return next((word for word in words if override_key(word) == "experiment"), "conf/train.yaml")


def _head(settings: PlanSettings) -> Head:
    spec = settings.spec
    is_grid = bool(spec.factors or spec.search)
    title = f"grid {spec.name} ({_experiment(settings.words) if spec.experiment is None else f'experiment={spec.experiment}'})"
    return Head(title if is_grid else _experiment(settings.words), _gpus(settings), stops_early=spec.halving is not None)


def _gpus(settings: PlanSettings) -> list[Any]:
    return settings.gpus if isinstance(settings.gpus, list) else [settings.gpus]


def _check(settings: PlanSettings) -> None:
    for key, value in (*(("gpus", num) for num in _gpus(settings)), ("sample", settings.sample), ("tokens.prompt", settings.tokens.prompt),
                       ("tokens.response", settings.tokens.response)):  # fmt: skip
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{key}: expected a whole number from 1; found {value}; correct it")
    if not 0 < settings.mfu <= 1:
        raise ConfigError(f"mfu: expected a share above 0, at most 1; found {settings.mfu}; 0.4 is two fifths of the peak")
    if settings.out is not None:
        check_file("out", Path(settings.out))

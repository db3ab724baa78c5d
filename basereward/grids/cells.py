"""The runs of a grid: one cell for each setting and replicate, under a name that can be read, with the hash of its config."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from basereward.checks import check_values
from basereward.compose import compose
from basereward.config_folders import folders
from basereward.errors import ConfigError
from basereward.grids.spec import GridSpec, with_words
from basereward.grids.spec_checks import check_names, check_spec, check_value, composing
from basereward.grids.values import cut, folder_name, label, listed, override_key, overrides_of
from basereward.run_directory import FREE_ON_RESUME, flat
from basereward.settings import TrainSettings

# Where a cell is composed before it has a place: a hash must not depend on it.
NOWHERE = "runs/cell"


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        name: readable, unique in the grid, and the name of its folder. setting: factor -> value, without the replicate.
        replicate: value of the replicate, such as the seed. overrides: of ``basereward train``, without run.dir.
        hash: of the composed config, without run.dir and keys that change no result.
    """

    name: str
    setting: dict[str, str] = field(hash=False)
    replicate: str | None
    overrides: list[str] = field(hash=False)
    hash: str

    def as_json(self) -> dict[str, Any]:
        """A row of ``cells.json``."""
        return asdict(self)


def cells_of(spec: GridSpec, extra: Sequence[str] = ()) -> list[Cell]:
    """The cells in the order of the factors, composed and checked; nothing is read but configs.

    Args:
        extra: overrides of training from the command line; sweeps among them are factors.

    Raises:
        ConfigError: a key, option, condition or baseline that cannot be used, or two cells that are the same run.
    """
    spec = with_words(spec, extra)
    check_spec(spec)
    combinations = list(_without_repeats(_combinations(spec)))
    if not combinations:
        raise ConfigError("ablation.only: expected conditions that leave cells; found none left; loosen keep")
    names = _names([_name(combination) for combination in combinations])
    found = [_cell(spec, name, combination) for name, combination in zip(names, combinations)]
    refuse_identical(found)
    _check_baseline(spec, found)
    return found


def settings_of(cell: Cell, run_dir: str | Path = NOWHERE) -> TrainSettings:
    """The composed config of a cell's training.

    Raises:
        ConfigError: as ``compose``.
    """
    return compose("train", [*cell.overrides, f"run.dir={run_dir}"], TrainSettings)


def config_hash(settings: TrainSettings) -> str:
    """SHA-256 of a config without where it runs and how fast: the same for two runs that must give the same result."""
    kept = {key: value for key, value in flat_config(settings).items() if key not in (*FREE_ON_RESUME, "run.dir")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()


def flat_config(settings: TrainSettings) -> dict[str, Any]:
    """Dotted key -> value."""
    return dict(flat(asdict(settings)))


def refuse_identical(cells: Sequence[Cell]) -> None:
    """Refuses two cells that would give the same result.

    Raises:
        ConfigError: with both names and why they are the same.
    """
    first: dict[str, Cell] = {}
    for cell in cells:
        other = first.setdefault(cell.hash, cell)
        if other is not cell:
            raise ConfigError(
                f"ablation.factors: expected cells that differ; found {other.name} and {cell.name} to be the same run: "
                f"{_why_same(other, cell)}; remove one, or correct the factor"
            )


def _check_baseline(spec: GridSpec, cells: Sequence[Cell]) -> None:
    """One setting, or none at all."""
    if not spec.baseline:
        return
    check_names("ablation.baseline", spec.baseline, spec)
    wanted = baseline_of(spec)
    for key, text in wanted.items():
        check_value(f"ablation.baseline.{key}", text, [label(value) for value in spec.factors[key]])
    matching = {json.dumps(cell.setting, sort_keys=True) for cell in cells if wanted.items() <= cell.setting.items()}
    if len(matching) != 1:
        raise ConfigError(
            f"ablation.baseline: expected one setting; found {len(matching)} with {wanted}; name a value of every factor but the "
            "replicate"
        )


def baseline_of(spec: GridSpec) -> dict[str, str]:
    """The baseline as settings of cells are written; empty where there is none."""
    return {override_key(key): label(value) for key, value in spec.baseline.items()}


def _combinations(spec: GridSpec) -> Iterator[dict[str, Any]]:
    """Factor -> value of each cell, crossed and zipped, conditions applied."""
    in_step = {key: group for group in spec.zip for key in group}
    axes = []
    for key in spec.factors:
        group = in_step.get(key, [key])
        first = min(group, key=list(spec.factors).index)
        if key == first:
            axes.append([dict(zip(group, together)) for together in zip(*(spec.factors[name] for name in group))])
    for parts in itertools.product(*axes):
        chosen = {key: value for part in parts for key, value in part.items()}
        combination = _conditioned({key: chosen[key] for key in spec.factors}, spec.only)
        if combination is not None:
            yield combination


def _conditioned(combination: dict[str, Any], conditions: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the conditions leave of a cell; None where it is not kept."""
    left = dict(combination)
    for condition in conditions:
        if not _is_true(condition["when"], combination):
            continue
        if not _is_true(condition.get("keep") or {}, combination):
            return None
        left = {key: value for key, value in left.items() if key not in (condition.get("without") or [])}
    return left


def _is_true(wanted: Mapping[str, Any], combination: Mapping[str, Any]) -> bool:
    return all(label(combination[key]) in map(label, listed(values)) for key, values in wanted.items())


def _without_repeats(combinations: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Cells that ``without`` made the same are one."""
    seen = set()
    for combination in combinations:
        name = _name(combination)
        if name not in seen:
            seen.add(name)
            yield combination


def _cell(spec: GridSpec, name: str, combination: Mapping[str, Any]) -> Cell:
    labels = {override_key(key): label(value) for key, value in combination.items()}
    replicate = labels.pop(spec.replicate, None) if spec.replicate else None
    factors = [override for key, value in combination.items() for override in overrides_of(key, value)]
    start = [f"experiment={spec.experiment}"] if spec.experiment else []
    overrides = _last_of_each([*start, *map(str, spec.base), *factors])
    places = tuple(map(str, folders()))
    found = composing(lambda error: _place_of(error, spec, combination), lambda: _hash_of(tuple(overrides), places))
    return Cell(name, labels, replicate, overrides, found)


@functools.lru_cache(maxsize=10_000)
def _hash_of(overrides: tuple[str, ...], places: tuple[str, ...]) -> str:
    """Of the config that overrides compose to; composing takes a tenth of a second, and a search asks for the same ones again.

    Args:
        places: the folders of YAML files that are looked through.
    """
    settings = compose("train", [*overrides, f"run.dir={NOWHERE}"], TrainSettings)
    check_values(settings)  # what training would refuse of numbers and words, before the first run starts
    return config_hash(settings)


def _place_of(error: ConfigError, spec: GridSpec, combination: Mapping[str, Any]) -> str:
    """Where in the grid's file the override stands that an error is about."""
    for key, value in combination.items():
        if any(str(error).startswith(override_key(override)) for override in overrides_of(key, value)):
            return f"ablation.factors.{key}"
    if any(str(error).startswith(override_key(override)) for override in spec.base):
        return "ablation.base"
    return "ablation.experiment" if str(error).startswith("experiment") else f"the cell {_name(combination)}"


def _last_of_each(overrides: Sequence[str]) -> list[str]:
    """A key that is given twice has its last value, at its place; what Hydra does with two values of a group depends on the group."""
    last = {override_key(override): position for position, override in enumerate(overrides)}
    return [override for position, override in enumerate(overrides) if last[override_key(override)] == position]


def _name(combination: Mapping[str, Any]) -> str:
    return ",".join(f"{override_key(key)}={label(value)}" for key, value in combination.items()) or "base"


def _names(texts: Sequence[str]) -> list[str]:
    """Names of folders; what is too long, or differs in nothing that a file system keeps, ends in digits of its hash."""
    whole = [folder_name(text) for text in texts]
    seen = Counter(cut(name).lower() for name in whole)
    return [
        f"{cut(name)}-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:8]}"
        if cut(name) != name or seen[name.lower()] > 1
        else name
        for name, text in zip(whole, texts)
    ]


def _why_same(one: Cell, other: Cell) -> str:
    then, now = (flat_config(settings_of(cell)) for cell in (one, other))
    neutral = sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))
    labels = [cell.setting | {"the replicate": str(cell.replicate)} for cell in (one, other)]
    different = [key for key in labels[0].keys() | labels[1].keys() if labels[0].get(key) != labels[1].get(key)]
    if neutral:
        return f"they differ in {', '.join(neutral)} alone, which changes where and how fast a run computes and not its result"
    return f"they differ in {', '.join(sorted(different))}, by which no key of the config differs"

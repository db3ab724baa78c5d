"""What a grid is: the keys of ``conf/ablation/*.yaml``, and what the command line adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from basereward.config_folders import groups, options
from basereward.errors import ConfigError, near_matches
from basereward.grids.values import label, override_key
from basereward.settings import TrainSettings

# Keys of `basereward ablate` itself; every other word of its command line is one of training.
OWN = ("ablation", "launcher", "grid", "status")


@dataclass
class GridSpec:
    """A grid: every combination of its factors' values is a setting, and every setting is trained once for each replicate."""

    name: str = "grid"
    experiment: str | None = None
    """What every cell starts from, an option of conf/experiment; ``conf/train.yaml`` alone when null."""
    base: list[Any] = field(default_factory=list)
    """Overrides of ``basereward train`` that every cell has, as on its command line."""
    factors: dict[str, Any] = field(default_factory=dict)
    """Key of the training config, or group -> its values. They are crossed; the first varies slowest. A value that is
    ``{name: frozen, set: [parts=frozen_vision, optim.lr=1e-5]}`` is a bundle of overrides under one name."""
    zip: list[Any] = field(default_factory=list)
    """Lists of factors that run in step: the first value of each together, then the second."""
    only: list[Any] = field(default_factory=list)
    """Conditions ``{when: {factor: values}, keep: {factor: values}, without: [factors]}``: of the cells that ``when`` is true of, those
    that ``keep`` is true of stay, and factors of ``without`` are not set in them."""
    baseline: dict[str, Any] = field(default_factory=dict)
    """The setting that differences are taken to; names every factor but the replicate."""
    replicate: str | None = "run.seed"
    """The factor over which means and deviations are formed."""
    evaluate: list[Any] = field(default_factory=list)
    """Benchmarks after each run: options of conf/benchmark, or ``{benchmark: custom, overrides: [benchmark.path=...]}``."""
    halving: dict[str, Any] | None = None
    """Successive halving: ``{rungs: [steps], keep: share, margin: ...}``; see ``grids/halving.py``."""
    search: dict[str, Any] | None = None
    """Instead of crossed factors: ``{keys: {optim.lr: {low, high, log}}, trials: n, ...}``; see ``grids/search.py``."""


def with_words(spec: GridSpec, words: Sequence[str]) -> GridSpec:
    """The grid with what the command line says of training: a sweep is a factor, another override is a part of ``base``.

    It takes the place of what the file has under the same key, as a factor or in ``base``. Where the grid has a baseline that says
    nothing of the new values, the first of them is the baseline's.

    >>> with_words(GridSpec(factors={"head": ["mlp"]}), ["head=linear,gated", "run.max_steps=5"]).factors
    {'head': ['linear', 'gated']}

    Raises:
        ConfigError: a sweep without an end (``interval(...)``), or a key that training does not have at all.
    """
    factors, base, experiment = dict(spec.factors), [str(word) for word in spec.base], spec.experiment
    baseline = {override_key(key): value for key, value in spec.baseline.items()}
    for word in words:
        key = override_key(word)
        _check_first_name(key)
        values = sweep_of(word)
        base = [old for old in base if override_key(old) != key]
        if key == "experiment":
            experiment = None
        if values is not None or key in map(override_key, factors):
            factors = {old: kept for old, kept in factors.items() if override_key(old) != key or old == key}
            factors[key] = [word.partition("=")[2]] if values is None else values
            if baseline and key != spec.replicate and label(baseline.get(key)) not in map(label, factors[key]):
                baseline[key] = factors[key][0]
        else:
            base.append(word)
    spelled = {override_key(key): key for key in factors}
    zipped = [[spelled.get(override_key(key), key) for key in group] if isinstance(group, list) else group for group in spec.zip]
    return replace(spec, factors=factors, base=base, experiment=experiment, zip=zipped, baseline=baseline)


def sweep_of(word: str) -> list[Any] | None:
    """The values of an override in Hydra's sweep syntax; None where it is one value.

    >>> sweep_of("run.seed=range(0,3)"), sweep_of("optim.lr=1e-5,3e-6"), sweep_of("head=linear")
    ([0, 1, 2], [1e-05, 3e-06], None)
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Glob, Override
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(word)
    except HydraException:
        return None  # a path with a space, which composing puts in quotes, or a mistake that it reports
    if not parsed.is_sweep_override():
        return None
    if parsed.is_interval_sweep():
        raise ConfigError(
            f"{word}: expected values, found an interval, which has no end of them; list them, or search: conf/ablation/"
            "learning_rate_search.yaml"
        )
    if isinstance(parsed.value(), Glob):
        return parsed.value().filter(options(parsed.key_or_group))
    if parsed.is_range_sweep():
        return list(parsed.value().range())
    return [Override._convert_value(value) for value in parsed.value().list]


def _check_first_name(key: str) -> None:
    known = {*(item.name for item in fields(TrainSettings)), "experiment"}
    first = key.partition(".")[0].partition("@")[0].partition("/")[0]
    if first not in known | set(groups()):
        raise ConfigError(f"{key}: neither a key of the grid nor of training; {near_matches(first, known | set(OWN))}")

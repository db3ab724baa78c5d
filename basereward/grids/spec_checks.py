"""What a grid's file must satisfy beyond the types of its keys, and how an error says where in it the mistake is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from basereward.compose import compose, to_yaml
from basereward.config_folders import groups
from basereward.errors import ConfigError, near_matches
from basereward.grids.spec import GridSpec
from basereward.grids.values import label, listed, override_key
from basereward.settings import EvaluateSettings

CONDITION_KEYS = ("when", "keep", "without")
SEED = "run.seed"
Made = TypeVar("Made")


def check_spec(spec: GridSpec) -> None:
    """Refuses what the types alone let through.

    Raises:
        ConfigError: with the key in the grid's file.
    """
    for key, values in spec.factors.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(
                f"ablation.factors.{key}: expected a list of values; found {values!r}; write [..] around it, or put it into base"
            )
        twice = [text for text, count in Counter(map(label, values)).items() if count > 1]
        if twice and not any(key in group for group in spec.zip if isinstance(group, list)):
            raise ConfigError(f"ablation.factors.{key}: expected each value once; found {twice[0]} twice; remove one")
    _check_zip(spec)
    _check_replicate(spec)
    _check_places(spec)
    for condition in spec.only:
        _check_condition(condition, spec)


def _check_zip(spec: GridSpec) -> None:
    """Groups of two factors or more; each factor in one group, all of a group with as many values."""
    for group in spec.zip:
        if not isinstance(group, list) or len(group) < 2:
            raise ConfigError(
                f"ablation.zip: expected lists of at least two factors, such as [[optim.lr, batch.size]]; found {group!r} in the place "
                "of a list; write [..] around the factors that run in step"
            )
        check_names("ablation.zip", group, spec)
        sizes = {key: len(spec.factors[key]) for key in group}
        if len(set(sizes.values())) > 1:
            raise ConfigError(f"ablation.zip: expected factors with as many values as each other; found {sizes}; make them equal")
    twice = [key for key, count in Counter(key for group in spec.zip for key in group).items() if count > 1]
    if twice:
        raise ConfigError(
            f"ablation.zip: expected each factor once; found {twice[0]} twice; put all that run in step into one list"
        )


def _check_replicate(spec: GridSpec) -> None:
    """A factor that repeats a setting; a seed that is none would make each seed a setting, and chance a difference between them."""
    keys = [override_key(key) for key in spec.factors]
    if spec.replicate is not None and spec.replicate not in (*keys, SEED):
        raise ConfigError(
            f"ablation.replicate: {spec.replicate} is no factor of this grid; {near_matches(spec.replicate, [*keys, SEED])}"
        )
    if spec.replicate in groups():
        raise ConfigError(
            f"ablation.replicate: expected a key whose values differ by chance alone, such as {SEED}; found {spec.replicate}, a group "
            "of configs, whose options are settings; name the seed"
        )
    if SEED in keys and spec.replicate != SEED:
        raise ConfigError(
            f"ablation.replicate: expected {SEED}, which is a factor; found {spec.replicate or 'null'}, with which each seed would be "
            "compared as a setting of its own; use ablation.replicate=run.seed"
        )


def _check_places(spec: GridSpec) -> None:
    """The grid says where its runs lie."""
    for key in map(override_key, [*spec.base, *spec.factors]):
        if key == "run.dir":
            raise ConfigError("run.dir: a grid gives each of its runs a place of its own; use grid.dir for that of the grid")


def _check_condition(condition: Any, spec: GridSpec) -> None:
    known = set(condition) if isinstance(condition, Mapping) else set()
    if "when" not in known or not known & {"keep", "without"} or known - set(CONDITION_KEYS):
        raise ConfigError(
            f"ablation.only: expected {{when: {{factor: values}}, keep: {{factor: values}}}} or {{when: ..., without: [factors]}}; "
            f"found {condition!r}; correct it"
        )
    for part in ("when", "keep"):
        chosen = condition.get(part) or {}
        check_names(f"ablation.only.{part}", chosen, spec)
        for key, values in chosen.items():
            for text in map(label, listed(values)):
                check_value(f"ablation.only.{part}.{key}", text, [label(value) for value in spec.factors[key]])
    check_names("ablation.only.without", condition.get("without") or [], spec)


def check_names(place: str, keys: Any, spec: GridSpec) -> None:
    """Refuses what is no factor of the grid."""
    for key in keys:
        if key not in spec.factors:
            raise ConfigError(f"{place}: {key} is no factor of this grid; {near_matches(str(key), spec.factors)}")


def check_value(place: str, text: str, known: Sequence[str]) -> None:
    """Refuses what is no value of a factor."""
    if text not in known:
        raise ConfigError(f"{place}: {text} is no value of this factor; {near_matches(text, known)}")


def evaluate_settings(entry: Any, model: str | Path) -> EvaluateSettings:
    """The composed config of an entry of ``evaluate``.

    Raises:
        ConfigError: what is neither a name nor ``{benchmark, overrides}``, or does not compose.
    """
    if isinstance(entry, str):
        entry = {"benchmark": entry}
    if not isinstance(entry, Mapping) or "benchmark" not in entry or set(entry) - {"benchmark", "overrides"}:
        raise ConfigError(
            f"ablation.evaluate: expected names of conf/benchmark, or {{benchmark: name, overrides: [key=value]}}; found {entry!r}; "
            "correct it"
        )
    words = [f"benchmark={entry['benchmark']}", *map(str, entry.get("overrides") or [])]
    return composing(lambda error: "ablation.evaluate", lambda: compose("evaluate", [*words, f"model={model}"], EvaluateSettings))


def entry_name(entry: Any) -> str:
    """An entry of ``evaluate`` in a word or two."""
    return entry if isinstance(entry, str) else " ".join([str(entry["benchmark"]), *map(str, entry.get("overrides") or [])])


def wanted_of(entries: Sequence[Any]) -> dict[str, str]:
    """Name of each benchmark of ``evaluate`` -> hash of what it is to be judged with.

    Raises:
        ConfigError: one does not compose, or stands there twice.
    """
    hashes = [(entry_name(entry), entry_hash(entry)) for entry in entries]
    twice = [name for name, count in Counter(name for name, _ in hashes).items() if count > 1]
    if twice:
        raise ConfigError(f"ablation.evaluate: expected each benchmark once; found {twice[0]} twice; remove one")
    return dict(hashes)


def entry_hash(entry: Any) -> str:
    """SHA-256 of what an entry of ``evaluate`` composes to, whatever the model."""
    return hashlib.sha256(to_yaml(evaluate_settings(entry, "model")).encode("utf-8")).hexdigest()


def composing(place: Callable[[ConfigError], str], make: Callable[[], Made]) -> Made:
    """What is composed; an error says the place in the grid's file before its own words."""
    try:
        return make()
    except ConfigError as error:
        raise ConfigError(f"{place(error)}: {error}") from error

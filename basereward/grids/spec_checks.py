"""What a grid's file must satisfy beyond the types of its keys, and how an error says where in it the mistake is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from basereward.compose import compose, to_yaml
from basereward.errors import ConfigError, near_matches
from basereward.grids.spec import GridSpec
from basereward.grids.values import label, listed
from basereward.settings import EvaluateSettings

CONDITION_KEYS = ("when", "keep", "without")
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
        if twice and not any(key in group for group in spec.zip):
            raise ConfigError(f"ablation.factors.{key}: expected each value once; found {twice[0]} twice; remove one")
    for group in spec.zip:
        check_names("ablation.zip", group, spec)
        sizes = {key: len(spec.factors[key]) for key in group}
        if len(set(sizes.values())) > 1:
            raise ConfigError(f"ablation.zip: expected factors with as many values as each other; found {sizes}; make them equal")
    for condition in spec.only:
        _check_condition(condition, spec)


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


def entry_hash(entry: Any) -> str:
    """SHA-256 of what an entry of ``evaluate`` composes to, whatever the model."""
    return hashlib.sha256(to_yaml(evaluate_settings(entry, "model")).encode("utf-8")).hexdigest()


def composing(place: Callable[[ConfigError], str], make: Callable[[], Made]) -> Made:
    """What is composed; an error says the place in the grid's file before its own words."""
    try:
        return make()
    except ConfigError as error:
        raise ConfigError(f"{place(error)}: {error}") from error

"""Config nodes -> objects: ``build`` makes a part from its ``_target_``, and says which key is wrong when it cannot."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from basereward.errors import BaseRewardError, ConfigError, near_matches

# Declared type -> the types of its values, and how it is told to the user.
TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"), "int": ((int,), "a whole number"), "float": ((int, float), "a number"),
    "str": ((str,), "a text"), "None": ((type(None),), "null"),
}  # fmt: skip


def build(node: Mapping[str, Any], key: str = "", **runtime: Any) -> Any:
    """Calls the class or function named by ``node["_target_"]`` with the node's other keys and ``runtime``.

    Nodes inside the node that have a ``_target_`` of their own are built first, without ``runtime``.

    Args:
        node: such as ``{"_target_": "basereward.heads.mlp.MLPHead", "num_layers": 2}``.
        key: where the node stands in the config (``head``), for messages.
        runtime: values that come from the program, not from the config (``hidden_size``).

    Raises:
        ConfigError: the target does not exist, or does not take a key or a value's type, or needs a key that is not given.

    >>> build({"_target_": "fractions.Fraction", "numerator": 1}, denominator=2)
    Fraction(1, 2)
    """
    if "_target_" not in node:
        raise ConfigError(f"{key or 'node'}: expected a key _target_ with the class to build, found only {sorted(node)}")
    target = locate(node["_target_"], key)
    dot = f"{key}." if key else ""
    values = {name: _built(value, f"{dot}{name}") for name, value in node.items() if name != "_target_"} | runtime
    check_arguments(target, values, key)
    check_types(target, {name: value for name, value in values.items() if name not in runtime}, key)
    try:
        return target(**values)
    except BaseRewardError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key or node['_target_']}: {node['_target_']} refused its values {values}: {error}") from error


def _built(value: Any, key: str) -> Any:
    """A value of a node, with every node inside it that has a ``_target_`` replaced by what it builds."""
    if isinstance(value, Mapping):
        return (
            build(value, key) if "_target_" in value else {name: _built(inner, f"{key}.{name}") for name, inner in value.items()}
        )
    if isinstance(value, list | tuple):
        return [_built(inner, f"{key}.{index}") for index, inner in enumerate(value)]
    return value


def has_inner_target(node: Mapping[str, Any]) -> bool:
    """Whether a node names something to call beside its own ``_target_``."""

    def names_one(value: Any) -> bool:
        if isinstance(value, Mapping):
            return "_target_" in value or any(map(names_one, value.values()))
        return isinstance(value, list | tuple) and any(map(names_one, value))

    return any(names_one(value) for name, value in node.items() if name != "_target_")


def locate(path: str, key: str = "") -> Callable:
    """The object at a dotted path.

    Raises:
        ConfigError: naming near matches within the module, or the module that could not be imported.
    """
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{key or '_target_'}: cannot import {module_name!r} for {path!r}: {error}") from error
    if not hasattr(module, name):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise ConfigError(f"{key or '_target_'}: module {module_name} has no {name!r}; {near_matches(name, public)}")
    return getattr(module, name)


def check_arguments(target: Callable, values: Mapping[str, Any], key: str) -> None:
    """Refuses keys that ``target`` does not take, and missing ones that it needs; an option that is ignored is a trap."""
    try:
        known = parameters(target)
    except ValueError:
        return  # classes written in C may have none; the call itself checks them
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    dot = f"{key}." if key else ""
    for name in values:
        if name not in known:
            raise ConfigError(f"{dot}{name}: {target.__name__} takes no such key; {near_matches(name, known)}")
    missing = [n for n, p in known.items() if p.default is p.empty and n not in values]
    if missing:
        raise ConfigError(f"{dot}{missing[0]}: {target.__name__} needs this key and it is not set")


def check_types(target: Callable, values: Mapping[str, Any], key: str) -> None:
    """Refuses values of another type than ``target`` declares, where that is one of ``TYPES``: 'no' is a text, and true in an if."""
    try:
        known = parameters(target)
    except ValueError:
        return
    dot = f"{key}." if key else ""
    for name, value in values.items():
        declared = known[name].annotation if name in known else ""
        written = (declared if isinstance(declared, str) else getattr(declared, "__name__", str(declared))).split("|")
        names = [part.strip() for part in written]
        if {*names} <= TYPES.keys() and not any(_is_a(value, TYPES[part][0]) for part in names):
            expected = " or ".join(TYPES[part][1] for part in names)
            raise ConfigError(f"{dot}{name}: expected {expected}, found {value!r}{_meant(value, names)}")


def _is_a(value: Any, types: tuple[type, ...]) -> bool:
    """A bool is an int to Python and a slip to a reader."""
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _meant(value: Any, names: list[str]) -> str:
    """What to write, where a text stands for a truth value in YAML 1.1."""
    word = str(value).lower()
    if "bool" not in names or word not in ("yes", "on", "no", "off"):
        return ""
    return f"; write {'true' if word in ('yes', 'on') else 'false'}"


def parameters(target: Callable) -> dict[str, inspect.Parameter]:
    """What a target takes; ``**options`` of a class stand for what its parent takes, where that is said by name."""
    found = dict(inspect.signature(target).parameters)
    spread = next((name for name, p in found.items() if p.kind is p.VAR_KEYWORD), None)
    if spread is None or not inspect.isclass(target):
        return found
    makers = [base for base in target.__mro__ if "__init__" in vars(base)]
    if len(makers) < 2 or makers[1] is object:
        return found
    del found[spread]
    return parameters(makers[1]) | found

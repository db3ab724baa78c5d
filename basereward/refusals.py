"""What Hydra and OmegaConf refuse, in words that say what to type instead."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from fnmatch import fnmatchcase
from typing import Any

from basereward.config import locate, parameters
from basereward.config_folders import groups
from basereward.errors import BaseRewardError, near_matches

# What a section holds though no class of `basereward.settings` says so: dotted name of the dataclass with its keys. Read for a message
# alone, by name as a `_target_` is.
SECTIONS = {
    "data": "basereward.data_settings.DataSettings",
    "data.clean": "basereward.cleaning.settings.CleanSettings",
    "data.sources.*": "basereward.shares.Share",
}


def refused_override(error: Any, overrides: Sequence[str], composed: Any, schema: type) -> str:
    """The message for an override that Hydra refuses.

    Args:
        overrides: as they were typed.
        composed: the config with the chosen options and no other override.
        schema: the stage's dataclass.
    """
    message = (f"{error.override}: " if hasattr(error, "override") else "") + str(error)
    if key := re.search(r"Could not override '([^']+)'", message):
        return _unknown_key(key[1], overrides, composed, schema)
    if group := re.search(r"Could not find '([^']+)'", message):
        return f"{group[1]}: not found; config groups are {', '.join(groups())}"
    return f"{message.strip().splitlines()[0]} (overrides are key=value; run with --help for the keys)"


def _unknown_key(key: str, overrides: Sequence[str], composed: Any, schema: type) -> str:
    parent, _, name = key.rpartition(".")
    allowed = allowed_keys(parent, composed, schema)
    if name in allowed:
        value = next((word.partition("=")[2] for word in overrides if word.partition("=")[0] == key), "...")
        return f"{key}: expected a plus before a key that the YAML leaves out; found none; write +{key}={value}"
    known = sorted({*known_keys(composed), *(f"{parent}.{other}" for other in allowed if parent)})
    if related := [other for other in known if _related(other, key)]:
        return f"{key}: no such key; {near_matches(key, related)}"
    names = key.split(".")
    absent = next(prefix for k in range(len(names)) if (prefix := ".".join(names[: k + 1])) not in known)
    return f"{key}: there is no {absent}; {near_matches(absent, [other for other in known if _related(other, absent)])}"


def allowed_keys(parent: str, composed: Any, schema: type) -> set[str]:
    """Keys that a section of the config takes, whether its YAML has them or not; empty where there is no such section.

    Args:
        parent: dotted; empty for the whole config.
    """
    from omegaconf import OmegaConf

    whole = OmegaConf.to_container(composed, resolve=False)
    if not parent:
        return {*whole, *_fields(schema)}
    above, name = _at(whole, parent.rpartition(".")[0]), parent.rpartition(".")[2]
    if not isinstance(above, Mapping) or name not in above:
        return set()
    node = above[name] or {}
    if not isinstance(node, Mapping):
        return set()
    sections = (locate(path) for pattern, path in SECTIONS.items() if _is_at(parent, pattern))
    return {*node, *_parameters(node), *_fields(_typed(schema, parent)), *(key for one in sections for key in _fields(one))}


def _parameters(node: Mapping[str, Any]) -> list[str]:
    """What the node's target can be given."""
    try:
        return list(parameters(locate(node["_target_"]))) if "_target_" in node else []
    except (BaseRewardError, ValueError):  # a target that is not there has an error of its own; classes in C may say nothing
        return []


def _fields(kind: object) -> list[str]:
    return [item.name for item in fields(kind)] if is_dataclass(kind) else []


def _typed(schema: type, key: str) -> object:
    """The declared type of a dotted key, without its None; None where only the YAML says what stands there."""
    kind: object = schema
    for name in key.split("."):
        declared = typing.get_type_hints(kind).get(name) if is_dataclass(kind) else None
        kind = next((part for part in typing.get_args(declared) if is_dataclass(part)), declared)
    return kind


def _at(node: Any, key: str) -> Any:
    for name in key.split(".") if key else ():
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _is_at(key: str, pattern: str) -> bool:
    """Whether a dotted key is one that a pattern means; ``*`` stands for one name."""
    names, wanted = key.split("."), pattern.split(".")
    return len(names) == len(wanted) and all(map(fnmatchcase, names, wanted))


def known_keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a config."""
    for key in node:
        yield f"{prefix}{key}"
        child = node._get_node(key)
        if hasattr(child, "keys") and not child._is_none():
            yield from known_keys(child, f"{prefix}{key}.")


def _related(known: str, key: str) -> bool:
    """Only keys on the same level or with the same last name are worth suggesting."""
    return known.rpartition(".")[0] == key.rpartition(".")[0] or known.rpartition(".")[2] == key.rpartition(".")[2]


def wrong_value(error: Any, composed: Any) -> str:
    """The message for a key or value that the stage's dataclass refuses."""
    from omegaconf import OmegaConf

    raw = OmegaConf.to_container(composed, resolve=False)
    variable = re.search(r"Environment variable '([^']+)' not found", str(error))
    if variable:
        used = {path for path in _texts(raw) if f"oc.env:{variable[1]}" in path}
        inside = sorted(path.rpartition("}")[2].lstrip("/") for path in used)
        return (
            f"{error.full_key}: expected the environment variable {variable[1]} to hold the folder with {', '.join(inside)}; it is not "
            f"set; put {variable[1]}=<folder> before the command"
        )
    if "is not a ListConfig" in str(error) and error.full_key:
        return f"{error.full_key}: expected a list, found one value; write it in brackets: {error.full_key}=[...]"
    if re.match(r"Key '[^']+' not in", str(error)) and error.full_key:
        known = [key for key in known_keys(composed) if key != error.full_key and not key.startswith(f"{error.full_key}.")]
        return f"{error.full_key}: no such key; {near_matches(error.full_key, [k for k in known if _related(k, error.full_key)])}"
    reason = str(error.msg or error).splitlines()[0]
    return f"{error.full_key or 'config'}: {reason}"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node

"""Hydra overrides from the command line -> one typed, checked settings object."""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from basereward.errors import ConfigError, MissingDependency, near_matches


def quoted(override: str) -> str:
    """An override whose value Hydra's grammar does not read, such as a path with a space or an umlaut, with the value in quotes.

    >>> quoted("path=my pairs/ü.jsonl"), quoted("optim.lr=1e-5")
    ("path='my pairs/ü.jsonl'", 'optim.lr=1e-5')
    """
    key, equals, value = override.partition("=")
    # What begins like a list, a mapping or a quoted text was meant as one: its mistake is for Hydra to report.
    if not equals or value[:1] in ("", "[", "{", "'", '"') or _is_read(override):
        return override
    escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    candidate = f"{key}='{escaped}{chr(92) * trailing}'"
    return candidate if _is_read(candidate) else override


def at_home(override: str) -> str:
    """An override whose value begins with ``~/``, which a shell leaves as it is behind ``key=``, with the user's folder in its place."""
    key, equals, value = override.partition("=")
    return f"{key}={os.path.expanduser(value)}" if equals and value.startswith("~/") else override


def _is_read(override: str) -> bool:
    """Whether Hydra reads an override as one value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return not OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:
        return False


def _refuse_removal(overrides: Sequence[str], stage: str, schema: type) -> None:
    needed = [item.name for item in fields(schema)]
    for override in overrides:
        name = override.removeprefix("~").partition("=")[0]
        if override.startswith("~") and name in needed:
            raise ConfigError(
                f"{override}: expected {stage} to keep {name}, which it needs; a required section cannot be removed; change it with "
                f"{name}=... or {name}.<key>=..."
            )


def config_folder() -> Path:
    """The folder with the YAML files, in the source tree or in the installed package."""
    return Path(str(importlib.resources.files("basereward.conf")))


def compose(stage: str, overrides: Sequence[str], schema: type) -> Any:
    """The settings of a stage: its YAML, with the overrides, checked against a dataclass.

    Args:
        stage: name of ``conf/<stage>.yaml``.
        overrides: Hydra's ``key=value``, ``group=option``, ``+key=value``, ``~key``.
        schema: dataclass of ``basereward.settings``.

    Raises:
        ConfigError: an unknown key, group option or type, or a required value that is not set; with the dotted key.
    """
    try:
        from hydra import compose as hydra_compose
        from hydra import initialize_config_dir
        from omegaconf import OmegaConf, errors
    except ImportError as error:
        raise MissingDependency(
            "composing a config needs hydra-core, which is not installed. Install it with: pip install hydra-core"
        ) from error
    from hydra.errors import HydraException, MissingConfigException

    _refuse_removal(overrides, stage, schema)
    overrides = [quoted(at_home(override)) for override in overrides]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        try:
            composed = hydra_compose(stage, overrides=list(overrides))
        except MissingConfigException as error:
            raise ConfigError(_unknown_option(error)) from error
        except HydraException as error:
            # The keys that the chosen options have, so that what is suggested exists.
            chosen = [override for override in overrides if override.split("=")[0] in groups()]
            written = f"{error.override}: " if hasattr(error, "override") else ""
            known = list(_known_keys(hydra_compose(stage, overrides=chosen)))
            raise ConfigError(_refused_override(f"{written}{error}", known)) from error
    missing = list(_missing_keys(OmegaConf.to_container(composed, resolve=False)))
    if missing:
        # Asked before anything is resolved: a key that is derived from a missing one is not the one to set.
        added = " ".join(f"{key}=..." for key in missing)
        raise ConfigError(f"{', '.join(missing)}: expected a value, found none; add {added} to the command")
    try:
        settings = OmegaConf.merge(OmegaConf.structured(schema), composed)
        OmegaConf.resolve(settings)
        made = OmegaConf.to_object(settings)
    except errors.MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key}: this key needs a value; add {error.full_key}=... to the command") from error
    except errors.OmegaConfBaseException as error:
        raise ConfigError(_wrong_value(error, OmegaConf.to_container(composed, resolve=False))) from error
    if hasattr(schema, "typed"):
        made.typed = frozenset(override.lstrip("+~").partition("=")[0].partition("@")[0] for override in overrides)
    return made


def options(group: str) -> list[str]:
    """Names that a config group offers: ``options("head")`` -> ["linear", "mlp"]."""
    return sorted(
        str(file.relative_to(config_folder() / group).with_suffix("")) for file in (config_folder() / group).rglob("*.yaml")
    )


def groups() -> dict[str, list[str]]:
    """All config groups with their options."""
    return {folder.name: options(folder.name) for folder in sorted(config_folder().iterdir()) if any(folder.glob("*.yaml"))}


def default_option(stage: str, group: str) -> dict[str, Any]:
    """The config node that a stage has for a group when none is chosen, without its interpolations resolved."""
    import yaml

    defaults = yaml.safe_load((config_folder() / f"{stage}.yaml").read_text(encoding="utf-8"))["defaults"]
    name = next(entry[group] for entry in defaults if isinstance(entry, dict) and group in entry)
    return yaml.safe_load((config_folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))


def to_yaml(settings: Any) -> str:
    """A settings object as YAML, every value resolved."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.structured(settings))


def _known_keys(node: Any, prefix: str = "") -> Iterator[str]:
    for key in node:
        yield f"{prefix}{key}"
        child = node._get_node(key)
        if hasattr(child, "keys") and not child._is_none():
            yield from _known_keys(child, f"{prefix}{key}.")


def _missing_keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _missing_keys(value, f"{prefix}{key}.")
    elif node == "???":
        yield prefix.removesuffix(".")


def _unknown_option(error: Any) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    if not group:
        return f"{name}: no such config; {near_matches(name, options('.'))}"
    return f"{group}={name}: there is no such {group}; {near_matches(name, options(group))}"


def _refused_override(message: str, known: list[str]) -> str:
    first = message.strip().splitlines()[0]
    key = re.search(r"Could not override '([^']+)'", first)
    if key:
        # Only keys on the same level or with the same last name are worth suggesting.
        return f"{key[1]}: no such key; {near_matches(key[1], [k for k in known if _related(k, key[1])] or known)}"
    group = re.search(r"Could not find '([^']+)'", message)
    if group:
        return f"{group[1]}: not found; config groups are {', '.join(groups())}"
    return f"{first} (overrides are key=value; run with --help for the keys)"


def _related(known: str, key: str) -> bool:
    return known.rpartition(".")[0] == key.rpartition(".")[0] or known.rpartition(".")[2] == key.rpartition(".")[2]


def _wrong_value(error: Any, raw: Any) -> str:
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
    reason = str(error.msg or error).splitlines()[0]
    return f"{error.full_key or 'config'}: {reason}"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node

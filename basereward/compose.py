"""Hydra overrides from the command line -> one typed, checked settings object."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import yaml

from basereward.config_folders import config_folder, groups, own_folder, unknown_option
from basereward.errors import ConfigError, MissingDependency
from basereward.refusals import refused_override, wrong_value


def _search_path() -> list[str]:
    """Hydra's word for the user's folder of YAML files, where there is one; the toolkit's folder is looked through first."""
    own = own_folder()
    return [f"hydra.searchpath=[{in_quotes(str(own))}]"] if own is not None else []


def in_quotes(value: str) -> str:
    """A text as Hydra's grammar reads it whatever it holds.

    >>> in_quotes("it's")
    "'it\\\\'s'"
    """
    escaped = re.sub(r"(\\*)'", r"\1\1\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"


def quoted(override: str) -> str:
    """An override whose value Hydra's grammar does not read, such as a path with a space or an umlaut, with the value in quotes.

    >>> quoted("path=my pairs/ü.jsonl"), quoted("optim.lr=1e-5")
    ("path='my pairs/ü.jsonl'", 'optim.lr=1e-5')
    """
    key, equals, value = override.partition("=")
    # What begins like a list, a mapping or a quoted text was meant as one: its mistake is for Hydra to report.
    if not equals or value[:1] in ("", "[", "{", "'", '"') or _is_read(override):
        return override
    candidate = f"{key}={in_quotes(value)}"
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
    typed, places = [quoted(at_home(override)) for override in overrides], _search_path()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        try:
            composed = hydra_compose(stage, overrides=[*typed, *places])
        except MissingConfigException as error:
            raise ConfigError(unknown_option(str(error.missing_cfg_file))) from error
        except HydraException as error:
            # The keys that the chosen options have, so that what is suggested exists; a mapping is none of them.
            chosen = [each for each in typed if each.split("=")[0] in groups() and "={" not in each]
            known = hydra_compose(stage, overrides=[*chosen, *places])
            raise ConfigError(refused_override(error, overrides, known, schema)) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"expected YAML; found what cannot be read as such; correct the file: {error}") from error
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
        raise ConfigError(wrong_value(error, composed)) from error
    if hasattr(schema, "typed"):
        made.typed = frozenset(override.lstrip("+~").partition("=")[0].partition("@")[0] for override in typed)
    return made


def to_yaml(settings: Any) -> str:
    """A settings object as YAML, every value resolved."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.structured(settings))


def _missing_keys(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _missing_keys(value, f"{prefix}{key}.")
    elif node == "???":
        yield prefix.removesuffix(".")

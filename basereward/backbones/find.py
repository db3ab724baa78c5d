"""A checkpoint's model type -> its family: the modules of this package are looked through, there is no table."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path

from transformers import AutoConfig, PretrainedConfig

from basereward.backbones.base import Family
from basereward.errors import CheckpointError, ConfigError, near_matches


@functools.cache
def families() -> dict[str, Family]:
    """Model type -> family, for every module beside this one that has a ``FAMILY``."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        family = getattr(importlib.import_module(f"basereward.backbones.{module.name}"), "FAMILY", None)
        for model_type in family.model_types if family is not None else ():
            assert model_type not in found, f"two families claim the model type {model_type!r}"
            found[model_type] = family
    return found


def find_family(config: PretrainedConfig) -> Family:
    """The family of a config.

    Raises:
        ConfigError: naming near matches among the model types that are covered.
    """
    known = families()
    if config.model_type not in known:
        raise ConfigError(
            f"backbone: no family covers a model of type {config.model_type!r}; {near_matches(config.model_type, known)}. "
            "See docs/backbones.md"
        )
    return known[config.model_type]


def fetch(auto_class: type, path: str | Path, **options):
    """``auto_class.from_pretrained`` without code of the folder, with an error that says what to do when it fails."""
    try:
        return auto_class.from_pretrained(path, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot load {path}: expected a folder with a checkpoint or the id of a model on the Hugging Face Hub. "
            f"Without network, fetch it once where there is one (hf download {path}) and give the folder. "
            f"transformers says: {str(error).splitlines()[0]}"
        ) from error


def fetch_config(path: str | Path, *, revision: str | None = None) -> PretrainedConfig:
    """The config of a checkpoint folder or Hub id."""
    return fetch(AutoConfig, path, revision=revision)

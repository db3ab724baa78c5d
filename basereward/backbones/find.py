"""A checkpoint's model type -> its family: the modules of this package are looked through, there is no table."""

from __future__ import annotations

import functools
import importlib
import json
import logging
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import AutoConfig, PretrainedConfig
from transformers.utils.hub import is_offline_mode

from basereward.backbones.base import Family
from basereward.errors import CheckpointError, ConfigError, near_matches

logger = logging.getLogger(__name__)
RESTORE = "restore the folder from where it was made or copied"


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
    if Path(path).is_dir():
        _check_config_file(Path(path))
    try:
        with _one_message(path):
            return auto_class.from_pretrained(path, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        if Path(path).is_dir():
            raise CheckpointError(_broken_folder(Path(path), error, needs_weights=auto_class is not AutoConfig)) from error
        raise CheckpointError(
            f"cannot load {path}: expected a folder with a checkpoint or the id of a model on the Hugging Face Hub. "
            f"Without network, fetch it once where there is one (hf download {path}) and give the folder. "
            f"transformers says: {str(error).splitlines()[0]}"
        ) from error


@contextmanager
def _one_message(path: str | Path) -> Iterator[None]:
    """Without network the Hub's client tries six times, half a minute long, and warns of each: here it is one line before."""
    if Path(path).is_dir():
        yield
        return
    client = logging.getLogger("huggingface_hub")
    level = client.level
    if not is_offline_mode():
        logger.info("%s: looking for it in the cache and on the Hub", path)
    client.setLevel(logging.ERROR)
    try:
        yield
    finally:
        client.setLevel(level)


def _check_config_file(folder: Path) -> None:
    file = folder / "config.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        found = sorted(path.name for path in folder.iterdir())[:8]
        raise CheckpointError(f"{folder}: expected a checkpoint with config.json, found {found}; {RESTORE}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: expected a config in JSON, found what cannot be read ({error}); {RESTORE}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: expected a config in JSON, found a {type(content).__name__}; {RESTORE}")


def _broken_folder(folder: Path, error: Exception, *, needs_weights: bool) -> str:
    if needs_weights and not any(folder.glob("*.safetensors")):
        others = sorted(path.name for path in folder.iterdir())[:8]
        return f"{folder}: expected weights (model.safetensors, or its parts), found only {others}; {RESTORE}"
    says = str(error).strip().splitlines() or [type(error).__name__]
    return f"{folder}: expected a whole checkpoint, found one that cannot be read; {RESTORE}. transformers says: {says[0]}"


def fetch_config(path: str | Path, *, revision: str | None = None) -> PretrainedConfig:
    """The config of a checkpoint folder or Hub id."""
    return fetch(AutoConfig, path, revision=revision)

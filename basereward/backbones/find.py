"""A checkpoint's model type -> its family: the modules of this package are looked through, there is no table."""

from __future__ import annotations

import functools
import importlib
import json
import logging
import pkgutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoConfig, PretrainedConfig
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import get_checkpoint_shard_files, is_offline_mode

from basereward.backbones.base import Family
from basereward.errors import CheckpointError, ConfigError, near_matches

logger = logging.getLogger(__name__)
# One of them says where the weights of a repository are.
WEIGHTS = (
    SAFE_WEIGHTS_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    "adapter_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "value_head.bin")
# Who warns while weights are loaded: of what is missing, and of layers that are not cut into parts for several devices: none is.
LOADING = ("transformers.modeling_utils", "transformers.distributed.tensor_parallel")
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
        # Who asks for the loading info tells what is missing, and expects a head that is left out.
        with _one_message(path), _quiet(*LOADING) if "output_loading_info" in options else nullcontext():
            return auto_class.from_pretrained(path, trust_remote_code=False, **options)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: expected weights in safetensors, found a file that cannot be read ({error}). "
            "It was cut off or is not what its name says; copy the folder again."
        ) from error
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
    if not is_offline_mode():
        logger.info("%s: looking for it in the cache and on the Hub", path)
    with _quiet("huggingface_hub"):
        yield


@contextmanager
def _quiet(*libraries: str) -> Iterator[None]:
    """The warnings of some loggers are not shown while this lasts."""
    levels = {theirs: theirs.level for theirs in map(logging.getLogger, libraries)}
    for theirs in levels:
        theirs.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for theirs, level in levels.items():
            theirs.setLevel(level)


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
        advice = pickle_advice([name for name in others if name in PICKLES]) or f"; {RESTORE}"
        return f"{folder}: expected weights (model.safetensors, or its parts), found only {others}{advice}"
    says = str(error).strip().splitlines() or [type(error).__name__]
    return f"{folder}: expected a whole checkpoint, found one that cannot be read; {RESTORE}. transformers says: {says[0]}"


def pickle_advice(names: Sequence[str]) -> str:
    """A sentence about pickles that were not opened; empty where there are none."""
    if not names:
        return ""
    return (f". {', '.join(names)} is a pickle, which can run any program when it is opened, so it was not. Where you trust it, load "
            "it once with torch.load and write its tensors with safetensors.torch.save_file.")  # fmt: skip


def fetch_weights(path: str | Path, *, revision: str | None = None) -> None:
    """Has the weights of a Hub id on this machine, and knows that a folder holds some: before data are read, which can take long.

    Raises:
        CheckpointError: there are none, or not all of them.
    """
    folder = Path(path)
    if folder.is_dir():
        if not any(file.suffix in (".safetensors", ".bin") for file in folder.iterdir()):
            raise CheckpointError(_broken_folder(folder, FileNotFoundError(), needs_weights=True))
        return
    quiet = dict.fromkeys(("missing_entries", "connection_errors", "gated_repo"), False)
    options = {f"_raise_exceptions_for_{name}": value for name, value in quiet.items()}
    with _one_message(path):
        found = next((file for name in WEIGHTS if (file := cached_file(path, name, revision=revision, **options))), None)
        try:
            if found is not None and found.endswith(".index.json"):
                get_checkpoint_shard_files(path, found, revision=revision)
        except (OSError, ValueError) as error:
            raise _no_weights(path, f"only a part of them ({str(error).splitlines()[0]})") from error
    if found is None:
        raise _no_weights(path, "its config alone, in the cache or on the Hub")


def _no_weights(path: str | Path, found: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: expected its weights; found {found}; fetch them where there is a network (hf download {path}), and give the folder or "
        "the same cache"
    )


def fetch_config(path: str | Path, *, revision: str | None = None) -> PretrainedConfig:
    """The config of a checkpoint folder or Hub id."""
    return fetch(AutoConfig, path, revision=revision)

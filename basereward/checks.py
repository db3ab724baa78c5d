"""What a training config must satisfy before data are read and a directory is made; types alone let more through."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from basereward import checkpoint, foreign
from basereward.attention.choose import CHOICES
from basereward.backbones.find import fetch_config
from basereward.budget import AUTO
from basereward.config import build
from basereward.config_folders import default_option
from basereward.errors import ConfigError, near_matches
from basereward.model import LAST
from basereward.settings import BackboneSettings, TrainSettings
from basereward.sources import check_sources

WORDS = {
    "optim.precision": ("float32", "bf16", "bf16_weights"),
    "optim.schedule": ("cosine", "linear", "constant_with_warmup"),
    "run.final": ("best", "last"),
    "batch.on_long": ("drop", "error"),
    "compute.attention": CHOICES,
}
POSITIVE = ("batch.size", "run.epochs", "run.eval_every", "run.log_every", "run.keep")
POSITIVE_OR_NULL = ("batch.max_length", "run.max_steps", "backbone.min_pixels", "backbone.max_pixels", "cache.max_gib")
NOT_NEGATIVE = ("optim.weight_decay", "optim.max_grad_norm", "batch.workers", "backbone.gradient_checkpointing")
# From 0 to below 1.
SHARES = ("optim.warmup", "optim.beta1", "optim.beta2", "optim.average")
# Larger seeds do not fit numpy's generator.
SEEDS = 2**32
# Weights are of the order of 0.01: a rate above 1 is a slip of the exponent.
LARGEST_RATE = 1.0
# Height x width of one image token in the family with the smallest, 14 x 14 pixels in patches of 2 x 2.
ONE_TOKEN = 28 * 28
# Keys of a backbone that say how it computes and sees, not which one it is: free beside ``init_from``.
SEEN_ANYWHERE = ("backbone.min_pixels", "backbone.max_pixels", "backbone.gradient_checkpointing")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

logger = logging.getLogger(__name__)


def check_values(settings: TrainSettings) -> None:
    """Refuses words that are not known and numbers outside their range, with the key."""
    for key, known in WORDS.items():
        if (value := _value(settings, key)) not in known:
            raise ConfigError(f"{key}: {value!r} is not known; {near_matches(str(value), known)}")
    for key in POSITIVE:
        _expect(key, _value(settings, key), "a value above 0", lambda value: value > 0)
    for key in POSITIVE_OR_NULL:
        _expect(key, _value(settings, key), "null or a value above 0", lambda value: value is None or value > 0)
    for key in NOT_NEGATIVE:
        _expect(key, _value(settings, key), "0 or above", lambda value: value is None or value >= 0)
    for key in SHARES:
        _expect(key, _value(settings, key), "a value from 0 to below 1", lambda value: value is None or 0 <= value < 1)
    _expect("run.seed", settings.run.seed, f"a whole number from 0 to {SEEDS - 1}", lambda value: 0 <= value < SEEDS)
    if (init := settings.head.get("init")) not in (None, "new"):
        raise ConfigError(
            f"head.init: expected null, which keeps the head of init_from, or new; found {init!r}; use head.init=new"
        )
    check_token_budget(settings.batch.token_budget)
    check_rates(settings)
    check_pixels(settings.backbone)


def check_token_budget(value: int | str) -> None:
    """Refuses what is neither tokens nor ``auto``."""
    if value != AUTO and (isinstance(value, str) or not value > 0):
        raise ConfigError(f"batch.token_budget: expected a number of tokens above 0, or {AUTO}, found {value!r}")


def check_rates(settings: TrainSettings) -> None:
    """Refuses learning rates that are not above 0, and slips of the exponent."""
    rates = {"optim.lr": settings.optim.lr} | {f"parts.lr.{name}": rate for name, rate in vars(settings.parts.lr).items()}
    rates |= {"parts.lora.lr": settings.parts.lora.lr} if settings.parts.lora else {}
    for key, rate in rates.items():
        null = "" if key == "optim.lr" else "null or "
        advice = "" if key == "optim.lr" else "; leave a part out of parts.train to freeze it"
        _expect(key, rate, f"{null}a rate above 0, at most {LARGEST_RATE:g}",
                lambda rate: rate is None or 0 < rate <= LARGEST_RATE, advice)  # fmt: skip


def check_pixels(backbone: BackboneSettings) -> None:
    """Refuses limits between which no picture fits."""
    low, high = backbone.min_pixels, backbone.max_pixels
    if high is not None and high < ONE_TOKEN:
        raise ConfigError(
            f"backbone.max_pixels: expected height x width of at least one image token, {ONE_TOKEN} pixels; found {high}; a "
            "picture of 448 x 448 has 200704"
        )
    if low is not None and high is not None and low > high:
        raise ConfigError(f"backbone.min_pixels: expected at most backbone.max_pixels, {high}; found {low}; lower it")


def check_device(name: str, *, here: bool) -> None:
    """Refuses a word that is no device and, with ``here``, one that this machine does not have."""
    if not _DEVICE.fullmatch(name):
        raise ConfigError(f"run.device: expected auto, cpu, cuda, cuda:0 (or another number) or mps; found {name!r}; use auto")
    if not here or name in ("auto", "cpu"):
        return
    count = torch.cuda.device_count() if name.startswith("cuda") else int(torch.backends.mps.is_available())
    if int(name.partition(":")[2] or 0) >= count:
        kind = name.partition(":")[0].upper()
        raise ConfigError(
            f"run.device: found {name!r}, but torch {torch.__version__} sees {count} {kind} devices here; use auto or cpu"
        )


def check_places(settings: TrainSettings) -> None:
    """Refuses a run directory that cannot be made, and data, a backbone or a start that are not where the config says."""
    check_run_dir(Path(settings.run.dir))
    if settings.init_from is not None:
        _refuse_absent("init_from", settings.init_from, "a run or a folder with a reward model")
        source = checkpoint.resolve(settings.init_from)
        if Path(source).is_dir():
            check_same_parts(settings, fetch_config(source), source)
    else:
        check_backbone(settings)
    check_sources(settings.data)


def check_run_dir(run_dir: Path) -> None:
    """Refuses a path below a file, or below a folder that cannot be written."""
    if not str(run_dir).strip() or "\0" in str(run_dir):
        raise ConfigError(f"run.dir: expected a folder's path, found {str(run_dir)!r}; add run.dir=runs/mine")
    try:
        above = next(folder for folder in (run_dir, *run_dir.absolute().parents) if folder.exists())
    except OSError as error:
        raise unusable_run_dir(run_dir, error) from error
    model = next((folder for folder in run_dir.resolve().parents if _holds_model(folder)), None)
    if model is not None:
        raise ConfigError(
            f"run.dir: expected a folder of its own, found {run_dir}, which lies in the model {model}; choose another"
        )
    if not above.is_dir():
        raise ConfigError(f"run.dir: expected a directory, {above} is a file; choose another run.dir")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"run.dir: expected a directory that can be written, {above} cannot; choose another run.dir")


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def unusable_run_dir(run_dir: Path, error: OSError) -> ConfigError:
    """The error for a directory that the system refuses to make."""
    return ConfigError(f"run.dir: {run_dir} cannot be made ({error.strerror or error}); choose another run.dir")


def check_backbone(settings: TrainSettings) -> None:
    """A path that does not exist is a Hub id, or a folder within the run's that ``create`` writes."""
    backbone = settings.backbone
    if backbone.create is None:
        _refuse_absent("backbone.path", backbone.path, "a folder with a checkpoint")
    elif not Path(backbone.path).exists() and not is_created(settings):
        raise ConfigError(
            f"backbone.path: expected a folder with a checkpoint, found none at {backbone.path}. A random model "
            f"(backbone.create={backbone.create}) is only written within run.dir; correct the path, and for a Hub id choose its "
            "backbone (backbone=qwen2_5_vl_3b) or add backbone.create=null"
        )


def is_created(settings: TrainSettings) -> bool:
    """Whether the backbone is a random one within the run's directory."""
    backbone, run_dir = settings.backbone, Path(settings.run.dir).absolute()
    return backbone.create is not None and run_dir in Path(os.path.abspath(backbone.path)).parents


def settle_start(settings: TrainSettings) -> None:
    """Fetches the config of what the run starts from: that it cannot be had must not come after reading the data.

    What ``init_from`` brings takes the place of what the defaults or an experiment say: a record says what was used.
    """
    if settings.init_from is None:
        if not is_created(settings):
            fetch_config(settings.backbone.path, revision=settings.backbone.revision)
        return
    source = checkpoint.resolve(settings.init_from)
    config = fetch_config(source)
    check_same_parts(settings, config, source)
    settle_backbone(settings)
    if settings.keeps_head:
        settings.head, settings.pooling = dict(config.reward_head), dict(getattr(config, "reward_pooling", None) or LAST)


def check_same_parts(settings: TrainSettings, config: Any, source: str | Path) -> None:
    """Refuses a head, pooling or backbone that was typed beside ``init_from`` and differs from its own.

    Args:
        config: of ``source``, in which another toolkit's head is described.

    Raises:
        CheckpointError: there is no head to keep.
    """
    if settings.keeps_head:
        foreign.describe(config, source)
        chosen = {"head": settings.new_head, "pooling": dict(settings.pooling)}
        held = {"head": dict(config.reward_head), "pooling": dict(getattr(config, "reward_pooling", None) or LAST)}
        for key in chosen:
            if chosen[key] != held[key] and _is_typed(settings, key, besides=("head.init",)):
                raise ConfigError(f"{key}: {settings.init_from} holds {_words(held[key])}, found {_words(chosen[key])}; init_from "
                                  f"brings its own {key}: leave {key} out, or take its backbone alone with head.init=new")  # fmt: skip
    if _is_typed(settings, "backbone", besides=SEEN_ANYWHERE):
        raise ConfigError(
            f"backbone: {settings.init_from} holds a backbone of type {config.model_type}, found backbone.path="
            f"{settings.backbone.path}; init_from brings its own backbone: leave backbone out, or leave init_from out"
        )


def settle_backbone(settings: TrainSettings) -> None:
    """The backbone of ``init_from`` in the place of the one that an experiment names; how to compute with it stays."""
    backbone, default = settings.backbone, default_option("train", "backbone")["create"]
    if settings.init_from is None or backbone.path == settings.init_from or (is_created(settings) and backbone.create == default):
        return
    logger.info("backbone: that of init_from=%s, in the place of %s, which no one typed", settings.init_from, backbone.path)
    limits = {
        key: getattr(backbone, key) if f"backbone.{key}" in settings.typed else None for key in ("min_pixels", "max_pixels")
    }
    settings.backbone = BackboneSettings(settings.init_from, gradient_checkpointing=backbone.gradient_checkpointing, **limits)


def _is_typed(settings: TrainSettings, key: str, *, besides: tuple[str, ...]) -> bool:
    """Whether a group, or a key in it, stood on the command line."""
    return any(word == key or (word.startswith(f"{key}.") and word not in besides) for word in settings.typed)


def build_part(node: Mapping[str, Any], key: str) -> torch.nn.Module:
    """A head or pooling of the config at a small size, which shows whether its values can be used."""
    width = node.get("width")
    if width is not None and (not isinstance(width, int) or width < 1):
        raise ConfigError(f"{key}.width: expected null or a whole number above 0, found {width!r}")
    try:
        return build(node, key=key, hidden_size=8)
    except (RuntimeError, ArithmeticError) as error:
        raise ConfigError(f"{key}: {node['_target_']} cannot be built with these values: {error}") from error


def _refuse_absent(key: str, path: str, expected: str) -> None:
    """``owner/name`` is left to the Hub, unless ``owner`` is a folder here."""
    owner, slash, name = path.partition("/")
    could_be_hub = slash and owner not in ("", ".", "..", "~") and name and "/" not in name and not Path(owner).exists()
    if not Path(path).exists() and not could_be_hub:
        raise ConfigError(f"{key}: expected {expected}, found nothing at {path}; correct the path, or give a Hub id (owner/name)")


def _value(settings: TrainSettings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def _expect(key: str, value: Any, expected: str, is_right: Any, advice: str = "") -> None:
    """Infinities and nan are never right."""
    if value is not None and not math.isfinite(value) or not is_right(value):
        raise ConfigError(f"{key}: expected {expected}, found {value}{advice}")


def _words(node: Mapping[str, Any]) -> str:
    """A config node as it is typed.

    >>> _words({"_target_": "basereward.heads.mlp.MLPHead", "num_layers": 2})
    'MLPHead (num_layers=2)'
    """
    values = ", ".join(f"{name}={value}" for name, value in node.items() if name != "_target_")
    return str(node.get("_target_")).rpartition(".")[2] + (f" ({values})" if values else "")

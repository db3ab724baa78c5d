"""Opens what is kept of a frozen model for a run: refuses what would change while it trains, and names the rest by its weights.

Used by training through `cache.vision` and `cache.hidden`; `keep_vision` and `keep_states` can be called on any model.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from basereward.backbones.find import find_family
from basereward.encode import Encoder
from basereward.errors import ConfigError, near_matches
from basereward.frozen.files import GIB, kept_files
from basereward.frozen.rounding import DTYPES, bytes_per_row
from basereward.frozen.states import KeptStates
from basereward.frozen.vision import KeptVision
from basereward.model import RewardModel
from basereward.parts import part_of
from basereward.runtime import cache_home
from basereward.settings import TrainSettings

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raised when the same facts give other files."""
DIGITS = 16
# Keys of a config that say where a model came from or how it is called, not what it computes.
NAMES = ("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version", "use_cache")


def check_cache(settings: TrainSettings) -> None:
    """Refuses values that are not known, and what can be seen from the config alone to change while it trains."""
    cache, parts = settings.cache, settings.parts
    if cache.dtype not in (None, *DTYPES):
        raise ConfigError(
            f"cache.dtype: {cache.dtype!r} is not known; {near_matches(str(cache.dtype), DTYPES)}, or null: as computed"
        )
    if cache.vision and {"*", "vision"} & {*parts.train}:
        raise _trained_vision(f"parts.train={parts.train}")
    if cache.vision and parts.lora is not None and "vision" in parts.lora.modules:
        raise _trained_vision(f"parts.lora.modules={parts.lora.modules}")
    if cache.hidden and (parts.train or parts.lora is not None):
        raise _trained_backbone(f"parts.train={parts.train}" + (" and parts.lora" if parts.lora is not None else ""))


def kept_encoder(settings: TrainSettings, model: RewardModel, encoder: Encoder) -> Encoder:
    """The encoder of a run, with what its config asks to keep."""
    cache = settings.cache
    root = Path(cache.dir).expanduser() if cache.dir is not None else cache_home()
    options = {"root": root, "max_gib": cache.max_gib}
    options["autocast"] = torch.bfloat16 if settings.optim.precision != "float32" else None
    if cache.vision:
        encoder = keep_vision(model, encoder, dtype=cache.dtype, **options)
    if cache.hidden:
        encoder = keep_states(model, encoder, **options)
    for line in cache_plan(settings, model):
        logger.info("%s, below %s", line, root)
    return encoder


def cache_plan(settings: TrainSettings, model: RewardModel) -> list[str]:
    """What a run would keep and how large it is, after the checks that need its modules; weights are not looked at."""
    cache, lines = settings.cache, []
    compute = str(compute_dtype(model, torch.bfloat16 if settings.optim.precision != "float32" else None)).removeprefix("torch.")
    if cache.vision:
        before_merger, dtype = check_vision(model), cache.dtype or compute
        size = bytes_per_row(feature_widths(model, before_merger=before_merger), dtype)
        place = "before the merger, which is trained" if before_merger else "after the merger"
        lines.append(f"cache.vision: {size:,.0f} bytes on disk for each image token ({dtype}, {place})")
    if cache.hidden:
        check_states(model)
        lines.append(
            f"cache.hidden: {4 * model.config.get_text_config().hidden_size:,} bytes on disk for each response (float32)"
        )
    return lines


def keep_vision(
    model: RewardModel, encoder: Encoder, *, root: Path, dtype: str | None = None, max_gib: float | None = None,
    autocast: torch.dtype | None = None,
) -> Encoder:  # fmt: skip
    """A copy of an encoder that finds features of pictures on disk; the model keeps those that are missing as it computes them.

    Args:
        model: with what is trained chosen; its frozen weights must not change as long as the encoder is used.
        root: files go to `<root>/features/vision-<hash>/`, a folder for each tower, image limits and form.
        dtype: float32, bfloat16, int8; `None` keeps features as they are computed.
        max_gib: limit on all that is kept below the root's `features/`. autocast: the dtype it computes in, where not that of the weights.

    Raises:
        ConfigError: the tower is trained, or has dropout, or there is none.
    """
    before_merger = check_vision(model)
    parts = ("vision",) if before_merger else ("vision", "merger")
    compute = compute_dtype(model, autocast, "vision")
    facts = _facts(model, encoder, parts, compute) | {"before_merger": before_merger, "dtype": dtype}
    files, identity = _opened(root, max_gib, "vision", facts)
    kept = copy.copy(encoder)
    kept.vision = KeptVision(files, identity, dtype, compute, before_merger)
    return kept


def keep_states(
    model: RewardModel, encoder: Encoder, *, root: Path, max_gib: float | None = None, autocast: torch.dtype | None = None
) -> Encoder:
    """A copy of an encoder that finds the pooled states of responses on disk, float32; arguments as of ``keep_vision``.

    Raises:
        ConfigError: a weight of the backbone is trained, the pooling has weights, or the backbone has dropout.
    """
    check_states(model)
    facts = _facts(model, encoder, ("vision", "merger", "language_model"), compute_dtype(model, autocast))
    files, identity = _opened(root, max_gib, "hidden", facts | {"pooling": dict(model.config.reward_pooling)})
    kept = copy.copy(encoder)
    kept.states = KeptStates(files, identity, model.config.get_text_config().hidden_size)
    return kept


def check_vision(model: RewardModel) -> bool:
    """Refuses a tower that changes while it trains; whether the merger does, so that what goes into it has to be kept.

    Raises:
        ConfigError: it is trained, has dropout, or is not there.
    """
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not any(part_of(name) == "vision" for name, _ in model.named_parameters()):
        raise ConfigError(
            "cache.vision: this backbone reads text only and has no features of pictures to keep; set cache.vision=false"
        )
    if trained := [name for name in learning if part_of(name) == "vision"]:
        raise _trained_vision(trained[0])
    _refuse_dropout(model.config.vision_config.to_dict(), "cache.vision")
    return any(part_of(name) == "merger" for name in learning)


def check_states(model: RewardModel) -> None:
    """Refuses a backbone or pooling that changes while it trains.

    Raises:
        ConfigError: it has trained weights or dropout.
    """
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if trained := [name for name in learning if part_of(name) != "head"]:
        raise _trained_backbone(trained[0])
    if weights := [name for name, _ in model.pooling.named_parameters()]:
        raise ConfigError(
            f"cache.hidden: expected a pooling without weights, found {type(model.pooling).__name__} with pooling.{weights[0]}, which "
            "changes what would be kept; use pooling=last or pooling=mean, or set cache.hidden=false"
        )
    _refuse_dropout(model.config.to_dict(), "cache.hidden")


def feature_widths(model: RewardModel, *, before_merger: bool) -> list[int]:
    """Numbers that are kept of an image token: one entry for the token, one for each further depth (deepstack)."""
    family = find_family(model.config)
    mergers = family.mergers(model.model)
    width = model.config.get_text_config().hidden_size
    return [family.merger_width(merger) if before_merger else width for merger in mergers]


def compute_dtype(model: RewardModel, autocast: torch.dtype | None, part: str = "language_model") -> torch.dtype:
    """In which a part of a model computes: autocast's, else that of its weights."""
    weights = (parameter.dtype for name, parameter in model.named_parameters() if part_of(name) == part)
    return autocast or next(dtype for dtype in weights if dtype.is_floating_point)


def weights_hash(model: RewardModel, parts: tuple[str, ...]) -> str:
    """SHA-256 of the names, dtypes, shapes and bytes of the weights and stored buffers of some parts."""
    total = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if part_of(name) in parts:
            total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _facts(model: RewardModel, encoder: Encoder, parts: tuple[str, ...], compute: torch.dtype) -> dict[str, Any]:
    """All that what a part gives for a picture or comparison depends on, but these themselves."""
    config = model.config.to_dict()
    if "language_model" not in parts:
        config = {key: value for key, value in config.items() if key.startswith(("vision_", "projector_", "downsample_"))}
    return {
        "format": FORMAT, "model_type": model.config.model_type, "transformers": transformers.__version__,
        "weights": weights_hash(model, parts), "config": _without_names(config), "pictures": repr(encoder.patch_settings),
        "compute": str(compute),
    }  # fmt: skip


def _without_names(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if key not in NAMES and not str(key).startswith("reward_")}
    return {key: _without_names(value) if isinstance(value, Mapping) else value for key, value in kept.items()}


def _opened(root: Path, max_gib: float | None, kind: str, facts: dict[str, Any]):
    """This process's files below a root, and the name of the folder for these facts, which is made."""
    facts = json.loads(json.dumps(facts, default=str, sort_keys=True))
    identity = f"{kind}-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:DIGITS]}"
    files = kept_files(os.path.abspath(root / "features"), None if max_gib is None else int(max_gib * GIB))
    try:
        files.describe(identity, facts)
    except OSError as error:
        raise ConfigError(
            f"cache.dir: expected a folder that can be written, found {root} ({error.strerror or error}); choose another"
        ) from error
    return files, identity


def _refuse_dropout(config: Mapping[str, Any], key: str) -> None:
    """What is kept was computed once, and dropout would draw anew each time."""
    if found := next(_dropouts(config), None):
        raise ConfigError(f"{key}: expected a frozen model without dropout, found {found} in its config; set {key}=false")


def _dropouts(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _dropouts(value)
        elif ("dropout" in str(name) or "drop_path" in str(name)) and isinstance(value, float | int) and value > 0:
            yield f"{name}={value}"


def _trained_vision(found: str) -> ConfigError:
    return ConfigError(
        f"cache.vision: expected a vision tower that is not trained, found {found}: features that were kept would be those of "
        "another tower after the first step; use parts=frozen_vision (or language_model, lora, head_only), or set cache.vision=false"
    )


def _trained_backbone(found: str) -> ConfigError:
    return ConfigError(
        f"cache.hidden: expected a backbone of which nothing is trained, found {found}: states that were kept would be those of "
        "another backbone after the first step; use parts=head_only, or set cache.hidden=false (cache.vision keeps what a frozen tower "
        "sees)"
    )

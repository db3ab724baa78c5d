"""What a backbone makes of text and pictures, without its weights: its tokenizer where that is here, the most that a picture can be."""

from __future__ import annotations

import tempfile
from pathlib import Path

from transformers import PretrainedConfig

from basereward import checkpoint
from basereward.backbones.find import find_family
from basereward.config import locate
from basereward.encode import Encoder
from basereward.errors import BaseRewardError
from basereward.settings import TrainSettings

NO_LIMIT = 16384
"""Image tokens of a picture where no limit is set: that of the published Qwen-VL checkpoints (conf/backbone)."""


def encoder_at_hand(settings: TrainSettings) -> Encoder | None:
    """The encoder of a run's backbone, from its folder or the Hub's cache; None where its tokenizer is not on this machine."""
    backbone = settings.backbone
    limits = {"min_pixels": backbone.min_pixels, "max_pixels": backbone.max_pixels}
    if settings.init_from is None and backbone.create is not None and not Path(backbone.path).exists():
        with tempfile.TemporaryDirectory() as folder:
            locate(backbone.create, "backbone.create")(folder, seed=0)
            return Encoder.from_folder(folder, **limits)
    try:
        source = checkpoint.resolve(settings.init_from) if settings.init_from is not None else backbone.path
        folder = source if Path(source).is_dir() else _in_cache(str(source), backbone.revision)
        return Encoder.from_folder(folder, **limits) if folder is not None else None
    except BaseRewardError:
        return None


def _in_cache(name: str, revision: str | None) -> str | None:
    """The folder of a Hub repository that was fetched before; nothing is fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return snapshot_download(name, revision=revision, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def image_tokens(settings: TrainSettings, config: PretrainedConfig) -> int:
    """The most tokens that ``backbone.max_pixels`` allows a picture; 0 for a backbone that reads text only."""
    tower = find_family(config).tower(config)
    if tower is None:
        return 0
    if settings.backbone.max_pixels is None:
        return NO_LIMIT
    patch = config.vision_config.patch_size
    side = (patch if isinstance(patch, int) else patch[0]) * tower.merge
    if tower.tile_tokens is None:
        return settings.backbone.max_pixels // side**2
    tiles = max(1, settings.backbone.max_pixels // (tower.tile_tokens * side**2))
    return (tiles + (tiles > 1)) * tower.tile_tokens  # a picture in several tiles also has a small one of the whole

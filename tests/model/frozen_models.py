"""What the tests of kept features and of kept states share: a model with frozen parts, a row, and a count of forward passes."""

from __future__ import annotations

from pathlib import Path

import torch

from basereward.adapters import choose_parts
from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.packing import Pack, collate
from basereward.settings import OptimSettings, PartsSettings

MLP = {"_target_": "basereward.heads.mlp.MLPHead"}


def reward_model(folder: Path, parts: PartsSettings | None = None, **options) -> RewardModel:
    """In eval mode and frozen as training would freeze it, all but the head when ``parts`` is None.

    Args:
        options: of ``RewardModel.from_backbone``.
    """
    model = RewardModel.from_backbone(load_backbone(folder), MLP, **{"seed": 7} | options)
    choose_parts(model, parts or PartsSettings(train=[]), OptimSettings())
    return model.eval()


def together(encoder: Encoder, comparisons) -> Pack:
    """All comparisons in one row."""
    return collate([encoder.encode(item) for item in comparisons], encoder.patch_settings)


def tower(model: RewardModel) -> torch.nn.Module:
    """The vision tower."""
    return getattr(model.model, "visual", None) or model.model.vision_tower


def decoder(model: RewardModel) -> torch.nn.Module:
    """The language model."""
    return getattr(model.model, "language_model", model.model)


class Calls:
    """Counts the forward passes of a module."""

    def __init__(self, module: torch.nn.Module):
        self.count = 0
        module.register_forward_pre_hook(self)

    def __call__(self, *_):
        self.count += 1

"""What a run starts from: a backbone with a new head, or the reward model of ``init_from``, with what is trained chosen."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from transformers import PreTrainedModel

from basereward import checkpoint
from basereward.adapter_folder import base_reference
from basereward.adapters import choose_parts, four_bits, has_lora, merge
from basereward.backbone import load_backbone, use_tree_attention
from basereward.backbones.find import fetch_config
from basereward.checks import is_created
from basereward.config import locate
from basereward.encode import Encoder
from basereward.errors import ConfigError
from basereward.kernels import use_kernels
from basereward.losses.base import Loss
from basereward.model import RewardModel
from basereward.parts import frozen_dtype, recompute_activations, trained_dtype
from basereward.runtime import pick_device
from basereward.settings import TrainSettings

logger = logging.getLogger(__name__)


def start_model(settings: TrainSettings, loss: Loss) -> tuple[RewardModel, Encoder]:
    """The model as it is before the first step, and its encoder."""
    limits = {"min_pixels": settings.backbone.min_pixels, "max_pixels": settings.backbone.max_pixels}
    parts, optim = settings.parts, settings.optim
    # What is trained starts from float32, also when it was stored so; what is not may be read in its own dtype.
    dtype = frozen_dtype(parts, optim) if not parts.train or trained_dtype(optim) == torch.bfloat16 else torch.float32
    source = backbone_folder(settings) if settings.init_from is None else checkpoint.resolve(settings.init_from)
    if settings.keeps_head:
        model = reward_model(settings, dtype)
        check_length_norm(model, settings)
    else:
        model = RewardModel.from_backbone(
            start_backbone(settings, source, dtype),
            settings.new_head,
            pooling=settings.pooling,
            length_norm=bool(settings.reward.length_norm),
            seed=settings.run.seed,
        )
    choose_parts(model, parts, optim)
    keep_unseen_bias(model, loss)
    if parts.lora is not None:
        commit = getattr(model.config, "_commit_hash", None)
        model.config.reward_base = base_reference(source, commit=commit, quantize=parts.quantize)
    if settings.backbone.gradient_checkpointing:
        recompute_activations(model, settings.backbone.gradient_checkpointing)
    use_tree_attention(model.model, settings.compute.attention)
    use_kernels(model.model, settings.compute.liger, settings.compute.compile, pick_device(settings.run.device))
    return model, Encoder.from_folder(source, revision=settings.backbone.revision, **limits)


def start_backbone(settings: TrainSettings, source: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    """The backbone for a new head: the config's, or the one in ``init_from``."""
    if settings.init_from is None:
        return load_backbone(
            source, revision=settings.backbone.revision, dtype=dtype, **four_bits(settings.parts.quantize)
        )  # fmt: skip
    if getattr(fetch_config(source), "reward_head", None):  # a model of ours: its probe tells whether its backbone is whole
        return reward_model(settings, dtype).model
    return load_backbone(source, dtype=dtype, use_safetensors=True)


def reward_model(settings: TrainSettings, dtype: torch.dtype) -> RewardModel:
    """The reward model of ``init_from``; adapters in it are merged."""
    model, _ = checkpoint.load(settings.init_from, dtype=dtype)
    if has_lora(model):
        if settings.parts.lora is not None:
            raise ConfigError(
                f"init_from: {settings.init_from} holds adapters, and new ones need a base in a folder of its own. Merge it first: "
                f"basereward export model={settings.init_from} out=merged, then init_from=merged"
            )
        merge(model)
    return model


def check_length_norm(model: RewardModel, settings: TrainSettings) -> None:
    """Refuses another length normalisation than the one that the model was trained with."""
    wanted = settings.reward.length_norm
    if wanted is not None and wanted != model.length_norm:
        raise ConfigError(
            f"reward.length_norm: {settings.init_from} was trained with {model.length_norm}, found {wanted}; its head's rewards mean "
            "something else without it. Leave the key out, or train a new head with head.init=new"
        )


def keep_unseen_bias(model: RewardModel, loss: Loss) -> None:
    """Freezes an output bias that came with ``init_from`` where the loss sees differences of rewards alone.

    Its gradient is 0 there but for rounding, and AdamW makes steps of full size of gradients of any size: it would wander.
    """
    bias = output_bias(model.score)
    if bias is None or loss.sees_shift or model.length_norm:
        return
    bias.requires_grad_(False)
    logger.info("head: its output bias (%.4g) is kept as it is: %s does not see it", bias.item(), loss.name)


def output_bias(head: torch.nn.Module) -> torch.nn.Parameter | None:
    """What a head adds to every reward: its last parameter, where it says ``output_bias``."""
    if not getattr(head, "output_bias", False):
        return None
    name, parameter = list(head.named_parameters())[-1]
    assert name.rpartition(".")[2] == "bias" and parameter.numel() == 1, f"expected the output bias last, found {name}"
    return parameter


def backbone_folder(settings: TrainSettings) -> str:
    """The backbone's path; a tiny one is written first."""
    backbone = settings.backbone
    if is_created(settings) and not Path(backbone.path).exists():
        locate(backbone.create, "backbone.create")(backbone.path, seed=settings.run.seed)
    return backbone.path

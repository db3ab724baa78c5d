"""A shape of cases.yaml -> our reward model, and the same weights as stock transformers runs them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel, Qwen2_5_VLConfig, Qwen2Config

from basereward.attention.choose import AUTO
from basereward.kernels import use_kernels
from basereward.model import RewardModel
from basereward.patches import PatchSettings

SETTINGS = PatchSettings(
    min_pixels=3136, max_pixels=12845056, patch_size=14, merge_size=2, frames=2, resample=3,
    mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711),
)  # fmt: skip
SPECIAL = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
PADDING, END = 0, 1  # ids that no drawn text has


@dataclass
class Models:
    """Two models of the same parameters: what one learns, the other has, and their weights take memory once."""

    ours: RewardModel
    stock: PreTrainedModel

    @property
    def score(self) -> nn.Module:
        """The head, which both sides use."""
        return self.ours.score

    @property
    def language_model(self) -> PreTrainedModel:
        """The stock decoder."""
        return getattr(self.stock, "language_model", self.stock)


def build_models(
    shape: dict, device: torch.device, dtype: torch.dtype, *, sees: bool = True, head: str = "mlp.MLPHead"
) -> Models:
    """Random weights, the same for the same shape.

    Args:
        shape: of cases.yaml. sees: with the vision tower. head: class below ``basereward.heads``.
    """
    backbones = []
    for _ in range(2):  # one config each: the attention of a model is written into its config
        torch.manual_seed(0)
        with torch.device(device):
            backbones.append(AutoModel.from_config(model_config(shape, sees=sees), dtype=dtype))
    stock, backbone = backbones
    backbone.load_state_dict(dict(stock.named_parameters()), assign=True, strict=False)
    assert all(a is b for a, b in zip(stock.parameters(), backbone.parameters(), strict=True)), "the weights are not shared"
    ours = RewardModel.from_backbone(backbone, {"_target_": f"basereward.heads.{head}"}, seed=0)
    ours.score.to(device)
    use_kernels(ours.model, AUTO, False, device)
    return Models(ours, stock)


def model_config(shape: dict, *, sees: bool) -> PretrainedConfig:
    """Qwen2.5-VL's, or that of its language model alone."""
    text = shape["text_config"] | {"pad_token_id": PADDING, "bos_token_id": None, "eos_token_id": END}
    rope = {"rope_type": "default", "rope_theta": 1e6}
    if not sees:
        return Qwen2Config(**text, rope_parameters=rope)
    half = text["hidden_size"] // text["num_attention_heads"] // 2
    rope["mrope_section"] = [half // 4, half * 3 // 8, half * 3 // 8]
    special = dict(zip(SPECIAL, range(text["vocab_size"] - len(SPECIAL), text["vocab_size"])))
    return Qwen2_5_VLConfig(text_config=text | {"rope_parameters": rope}, vision_config=shape["vision_config"], **special)

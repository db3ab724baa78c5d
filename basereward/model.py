"""RewardModel: a backbone without language-model head, and a head on the last token of each response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from basereward.backbone import hidden_states, use_tree_attention
from basereward.config import build, locate
from basereward.errors import CheckpointError, ConfigError
from basereward.packing import Pack


class RewardModel(PreTrainedModel):
    """Scalar rewards for the responses of a pack.

    The config is the backbone's own, with one more key ``reward_head`` (the head's config node), so that tools which know the
    family can read the folder. Weights are named ``model.*`` (backbone) and ``score.*`` (head); a linear head is
    ``score.weight``, the name that transformers' sequence classifiers and vLLM expect. The head is float32 whatever the
    backbone's dtype: rewards of close responses would tie in bfloat16.

    Args:
        config: of the backbone, with ``reward_head``.
        backbone: already loaded; built from the config when absent.
    """

    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _keep_in_fp32_modules_strict = ["score"]

    def __init__(self, config: PretrainedConfig, backbone: PreTrainedModel | None = None):
        super().__init__(config)
        if not getattr(config, "reward_head", None):
            raise CheckpointError(
                "config.json has no reward_head: this is a backbone, not a reward model. "
                "Train one from it (basereward train backbone.path=...)."
            )
        # An exported folder names its own model class there; what is saved from here has none.
        config.__dict__.pop("auto_map", None)
        self.model = use_tree_attention(backbone if backbone is not None else AutoModel.from_config(config))
        self.score = build_head(config)
        self._no_split_modules = self.model._no_split_modules
        self.post_init()

    @classmethod
    def from_backbone(cls, backbone: PreTrainedModel, head: Mapping[str, Any], *, seed: int) -> RewardModel:
        """A new reward model: the given backbone and a freshly drawn head."""
        backbone.config.reward_head = dict(head)
        torch.manual_seed(seed)
        return cls(backbone.config, backbone)

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Nothing: the backbone initialises or loads itself, and the head drew its weights when it was built."""

    def forward(self, pack: Pack) -> torch.Tensor:
        """(R,) float32 rewards of the pack's responses, comparisons in order."""
        hidden_SD = hidden_states(self.model, pack)
        return self.score(hidden_SD[pack.reward_index_R])


def build_head(config: PretrainedConfig) -> torch.nn.Module:
    """The head that a config describes.

    A config.json may come from anywhere, so its ``_target_`` is called only when it is a torch module.
    """
    target = locate(config.reward_head.get("_target_", ""), "head")
    if not (isinstance(target, type) and issubclass(target, torch.nn.Module)):
        raise ConfigError(f"head._target_: expected the class of a torch module, found {config.reward_head['_target_']!r}")
    return build(config.reward_head, key="head", hidden_size=config.get_text_config().hidden_size)

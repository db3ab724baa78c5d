"""RewardModel: a backbone without language-model head, a pooling over each response, and a head on what it gives."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from basereward.backbone import hidden_states, use_tree_attention
from basereward.config import build, has_inner_target, locate
from basereward.errors import CheckpointError, ConfigError
from basereward.packing import Pack
from basereward.pooling.length_norm import divide_by_log_length
from basereward.prefix_keys import PrefixKeys

LAST = {"_target_": "basereward.pooling.last.LastToken"}


class RewardModel(PreTrainedModel):
    """Scalar rewards for the responses of a pack.

    The config is the backbone's own, with more keys: ``reward_head`` and ``reward_pooling`` (config nodes; the last token where
    the latter is absent) and ``reward_length_norm``, so that tools which know the family can read the folder. Weights are named
    ``model.*`` (backbone), ``score.*`` (head) and ``pooling.*`` (of a pooling that has any); a linear head is ``score.weight``,
    the name that transformers' sequence classifiers and vLLM expect. Head and pooling are float32 whatever the backbone's dtype:
    rewards of close responses would tie in bfloat16.

    Args:
        config: of the backbone, with ``reward_head``.
        backbone: already loaded; built from the config when absent.
    """

    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _keep_in_fp32_modules_strict = ["score", "pooling"]

    def __init__(self, config: PretrainedConfig, backbone: PreTrainedModel | None = None):
        # A backbone that is made here gets a config of its own: attention is set in it, and another model may hold the one given.
        config = config if backbone is not None else copy.deepcopy(config)
        super().__init__(config)
        if not getattr(config, "reward_head", None):
            raise CheckpointError(
                "config.json has no reward_head: this is a backbone, not a reward model. "
                "Train one from it (basereward train backbone.path=...)."
            )
        # An exported folder names its own model class there; what is saved from here has none.
        config.__dict__.pop("auto_map", None)
        self.model = use_tree_attention(backbone if backbone is not None else AutoModel.from_config(config))
        self.score = build_module(config.reward_head, config, key="head")
        self.pooling = build_module(getattr(config, "reward_pooling", None) or LAST, config, key="pooling")
        self.length_norm = bool(getattr(config, "reward_length_norm", False))
        self._no_split_modules = self.model._no_split_modules
        self.post_init()

    @classmethod
    def from_backbone(
        cls, backbone: PreTrainedModel, head: Mapping[str, Any], *, seed: int, pooling: Mapping[str, Any] | None = None,
        length_norm: bool = False,
    ) -> RewardModel:  # fmt: skip
        """A new reward model: the given backbone, a freshly drawn head and a new pooling (the last token when ``None``)."""
        backbone.config.reward_head = dict(head)
        backbone.config.reward_pooling = dict(pooling or LAST)
        backbone.config.reward_length_norm = length_norm
        torch.manual_seed(seed)
        return cls(backbone.config, backbone)

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Nothing: the backbone initialises or loads itself, and the head drew its weights when it was built."""

    def forward(self, pack: Pack, past: PrefixKeys | None = None) -> torch.Tensor:
        """(R,) float32 rewards of the pack's responses, comparisons in order.

        Args:
            past: keys of the prefix of the pack's one comparison, when it takes several packs; empty for the first of them.
        """
        reward_R = self.score(self.pooled(pack, past))
        return divide_by_log_length(reward_R, pack.response_lengths) if self.length_norm else reward_R

    def pooled(self, pack: Pack, past: PrefixKeys | None = None) -> torch.Tensor:
        """(R, D) float32: what the head sees of each response; known states are not computed, and new ones kept."""
        in_row = self.pooling(hidden_states(self.model, pack, past), pack.spans) if pack.num_tokens else None
        return in_row if pack.states is None else pack.states.joined(in_row)


def build_module(node: Mapping[str, Any], config: PretrainedConfig, *, key: str) -> torch.nn.Module:
    """The head or pooling that a config describes.

    A config.json may come from anywhere, so its ``_target_`` is called only when it is a torch module, and nothing inside it is.
    """
    target = locate(node.get("_target_", ""), key)
    if not (isinstance(target, type) and issubclass(target, torch.nn.Module)):
        raise ConfigError(f"{key}._target_: expected the class of a torch module, found {node.get('_target_')!r}")
    if has_inner_target(node):
        raise ConfigError(f"{key}: expected plain values beside _target_, found another _target_ inside; nothing was called")
    return build(node, key=key, hidden_size=config.get_text_config().hidden_size)

"""The transformer without a language-model head: loading it, its image features, and hidden states of a packed row.

The door to the families of ``backbones/``: everything goes through public hooks of transformers (``get_image_features``, a scatter
into ``inputs_embeds``, then the language model with explicit positions and the tree), and what differs is asked of the family.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from basereward.attention.choose import AUTO
from basereward.attention.door import tree_name, vision_name
from basereward.backbones.base import ImageFeatures
from basereward.backbones.find import fetch, fetch_config, find_family
from basereward.errors import CheckpointError
from basereward.packing import Pack
from basereward.prefix_keys import PrefixKeys

# Names in a checkpoint -> names that transformers knows. TRL's value-head wrapper writes the first; the second is what our own folders
# and sequence classifiers have, where transformers (5.23) renames every ``model.`` of Qwen2-VL and Qwen2.5-VL to the language model.
OTHER_NAMES = {r"^pretrained_model\.": "", r"^model\.visual\.": "visual."}


def load_backbone(
    path: str | Path, *, revision: str | None = None, dtype: torch.dtype = torch.float32, **options
) -> PreTrainedModel:
    """The backbone of a checkpoint folder or Hub id, in ``dtype``; a language-model head in the checkpoint is left out.

    Args:
        options: further ones of ``from_pretrained``, such as a quantisation.

    Raises:
        CheckpointError: the weights cannot be had, or some of the backbone's are missing in them.
        ConfigError: a family that packed attention does not cover, or a sliding window, which it would ignore.
    """
    check_family(fetch_config(path, revision=revision))
    options |= {"output_loading_info": True, "key_mapping": OTHER_NAMES}
    model, info = fetch(AutoModel, path, revision=revision, dtype=dtype, **options)
    if info["missing_keys"] or info["mismatched_keys"]:
        lost = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise CheckpointError(f"{path}: {len(lost)} weights of the backbone are missing or of another shape, such as {lost[:3]}")
    return use_tree_attention(model)


def check_family(config: PretrainedConfig) -> None:
    """Refuses a family that is not covered, and what packed attention cannot compute exactly."""
    find_family(config).check(config)


def use_tree_attention(backbone: PreTrainedModel, choice: str = AUTO) -> PreTrainedModel:
    """Switches the language model to packed attention, and a tower with windows to one call for all of them.

    Args:
        choice: of ``compute.attention``.
    """
    family = find_family(backbone.config)
    names = {family.attention_key: tree_name(choice)}
    if family.vision_key is not None:
        names[family.vision_key] = vision_name(choice)
    backbone.set_attn_implementation(names)
    return backbone


def image_features(backbone: PreTrainedModel, pack: Pack) -> ImageFeatures:
    """What the language model takes of the pack's images: from the vision tower, or as it was kept."""
    if pack.features is not None:
        return pack.features.kept.features(backbone, pack)
    return find_family(backbone.config).image_features(backbone, pack)


def hidden_states(backbone: PreTrainedModel, pack: Pack, past: PrefixKeys | None = None) -> torch.Tensor:
    """(S, D): last hidden states of a packed row, after the final norm.

    Args:
        past: keys of the prefix of the pack's one comparison, when it takes several packs; empty for the first of them.
    """
    family = find_family(backbone.config)
    embeds, options = backbone.get_input_embeddings()(pack.input_ids), {}
    if pack.has_images:
        features = image_features(backbone, pack)
        embeds, options = family.enter(embeds, pack.input_ids == backbone.config.image_token_id, features)
    language_model = getattr(backbone, "language_model", backbone)
    positions = family.language_positions(pack.position_ids)
    options |= {"tree": pack.tree} if past is None else {"tree": past.tree(pack.tree), "past": past}
    output = language_model(inputs_embeds=embeds, position_ids=positions, use_cache=False, **options)
    return output.last_hidden_state[0]

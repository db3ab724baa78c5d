"""The transformer without a language-model head: loading it, its image features, and hidden states of a packed row.

Everything goes through public hooks of transformers: ``get_image_features``, a scatter into ``inputs_embeds``, then the language
model with explicit positions and the tree.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from basereward.attention import TREE_ATTENTION
from basereward.errors import CheckpointError, ConfigError
from basereward.packing import Pack
from basereward.patches import to_pixel_values

FAMILIES = ("qwen2_5_vl",)


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
    check_family(fetch(AutoConfig, path, revision=revision))
    model, info = fetch(AutoModel, path, revision=revision, dtype=dtype, output_loading_info=True, **options)
    if info["missing_keys"] or info["mismatched_keys"]:
        lost = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise CheckpointError(f"{path}: {len(lost)} weights of the backbone are missing or of another shape, such as {lost[:3]}")
    return use_tree_attention(model)


def fetch(auto_class: type, path: str | Path, **options):
    """``auto_class.from_pretrained`` without code of the folder, with an error that says what to do when it fails."""
    try:
        return auto_class.from_pretrained(path, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"cannot load {path}: expected a folder with a checkpoint or the id of a model on the Hugging Face Hub. "
            f"Without network, fetch it once where there is one (hf download {path}) and give the folder. "
            f"transformers says: {str(error).splitlines()[0]}"
        ) from error


def check_family(config: PretrainedConfig) -> None:
    """Refuses what packed attention cannot compute exactly."""
    if config.model_type not in FAMILIES:
        raise ConfigError(f"backbone: expected a model of type {' or '.join(FAMILIES)}, found {config.model_type!r}")
    if getattr(config.get_text_config(), "use_sliding_window", False):
        raise ConfigError(
            "backbone: the checkpoint sets use_sliding_window=true; packed attention looks at the whole prefix and would ignore "
            "the window in silence. Set use_sliding_window to false in its config.json if the model was trained without it."
        )


def use_tree_attention(backbone: PreTrainedModel) -> PreTrainedModel:
    """Switches the language model to packed attention; the vision tower keeps its own."""
    backbone.set_attn_implementation({"text_config": TREE_ATTENTION})
    return backbone


def image_features(backbone: PreTrainedModel, pack: Pack) -> torch.Tensor:
    """(image tokens, D): each image of the pack through the vision tower, once."""
    pixels = to_pixel_values(pack.patches, pack.pixel_mean, pack.pixel_std, frames=pack.frames)
    features = backbone.get_image_features(pixels, pack.grids.to(pixels.device), return_dict=True)
    return torch.cat(tuple(features.pooler_output))


def hidden_states(backbone: PreTrainedModel, pack: Pack) -> torch.Tensor:
    """(S, D): last hidden states of a packed row, after the final norm."""
    embeds = backbone.get_input_embeddings()(pack.input_ids)
    if pack.patches is not None:
        features = image_features(backbone, pack)
        is_image = (pack.input_ids == backbone.config.image_token_id).unsqueeze(-1).expand_as(embeds)
        embeds = embeds.masked_scatter(is_image, features.to(embeds.dtype))
    language_model = getattr(backbone, "language_model", backbone)
    output = language_model(inputs_embeds=embeds, position_ids=pack.position_ids, tree=pack.tree, use_cache=False)
    return output.last_hidden_state[0]

"""A folder name -> a checkpoint folder of a small, randomly initialised member of each family beside the demo's Qwen2.5-VL.

For tests and for trying a config end to end: the family's architecture, special tokens, chat template and image preprocessing, with
the demo's tokenizer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basereward.demo.backbone import CHAT_TEMPLATE, IMAGE_PROCESSOR, SPECIAL_TOKENS, build_tokenizer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

QWEN3_VL_PICTURES = IMAGE_PROCESSOR | {
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "patch_size": 16, "min_pixels": 4096, "max_pixels": 16777216,
    "processor_class": "Qwen3VLProcessor",
}  # fmt: skip
TILE = 56
INTERNVL_PICTURES = {
    "crop_to_patches": False, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "GotOcr2ImageProcessor", "image_std": [0.229, 0.224, 0.225],
    "max_patches": 12, "min_patches": 1, "processor_class": "InternVLProcessor", "resample": 3, "rescale_factor": 1 / 255,
    "size": {"height": TILE, "width": TILE},
}  # fmt: skip
NO_DEFAULT_SYSTEM_PROMPT = CHAT_TEMPLATE.partition("\n")[2]
INTERNVL_TEMPLATE = NO_DEFAULT_SYSTEM_PROMPT.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>\\n")
TEXT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' + thoughts + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
QWEN2_5_TEMPLATE = CHAT_TEMPLATE.partition("\n")[0] + "\n" + TEXT_TEMPLATE.replace("thoughts + ", "")
QWEN3_TEMPLATE = TEXT_TEMPLATE.replace(
    "thoughts", "('<think>\\n\\n</think>\\n\\n' if loop.last and message['role'] == 'assistant' else '')"
)
"""Like Qwen3's, it writes an empty block of thoughts before the last answer, and none before earlier ones."""


def build_tiny_qwen2_vl(folder: str | Path, seed: int = 0) -> Path:
    """A Qwen2-VL."""
    from transformers import Qwen2VLConfig, Qwen2VLModel

    tokenizer = build_tokenizer()
    vision = {"depth": 2, "embed_dim": 96, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2, "initializer_range": 0.08}
    config = Qwen2VLConfig(text_config=_text(tokenizer, mrope=True), vision_config=vision, **_image_ids(tokenizer))
    return _write(folder, seed, tokenizer, Qwen2VLModel, config, IMAGE_PROCESSOR | {"processor_class": "Qwen2VLProcessor"})


def build_tiny_qwen3_vl(folder: str | Path, seed: int = 0) -> Path:
    """A Qwen3-VL, whose vision tower gives two depths to the first layers."""
    from transformers import Qwen3VLConfig, Qwen3VLModel

    tokenizer = build_tokenizer()
    tokenizer.chat_template = NO_DEFAULT_SYSTEM_PROMPT
    vision = {
        "depth": 3, "hidden_size": 96, "intermediate_size": 192, "num_heads": 4, "out_hidden_size": 128, "patch_size": 16,
        "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1], "initializer_range": 0.08,
    }  # fmt: skip
    text = _text(tokenizer, mrope=True) | {"head_dim": 32}
    text["rope_parameters"] |= {"mrope_interleaved": True, "rope_theta": 5e6}
    config = Qwen3VLConfig(text_config=text, vision_config=vision, **_image_ids(tokenizer))
    return _write(folder, seed, tokenizer, Qwen3VLModel, config, QWEN3_VL_PICTURES)


def build_tiny_internvl(folder: str | Path, seed: int = 0) -> Path:
    """An InternVL3 of tiles of 56 x 56 pixels, 4 tokens each."""
    from transformers import InternVLConfig, InternVLModel

    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"extra_special_tokens": ["<img>", "</img>", "<IMG_CONTEXT>"]})
    tokenizer.chat_template = INTERNVL_TEMPLATE
    vision = {
        "num_hidden_layers": 2, "hidden_size": 96, "intermediate_size": 192, "num_attention_heads": 4, "attention_bias": True,
        "image_size": [TILE, TILE], "patch_size": [14, 14], "initializer_range": 0.08,
    }  # fmt: skip
    config = InternVLConfig(
        text_config={"model_type": "qwen2"} | _text(tokenizer), vision_config=vision, image_seq_length=4,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), tie_word_embeddings=False,
    )  # fmt: skip
    folder = _write(folder, seed, tokenizer, InternVLModel, config, INTERNVL_PICTURES)
    file = folder / "tokenizer_config.json"
    # Under these names transformers' InternVLProcessor asks the tokenizer for them.
    names = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<|video_pad|>",
    }
    file.write_text(
        json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"extra_special_tokens": names}, indent=2), encoding="utf-8"
    )
    return folder


def build_tiny_qwen2_5(folder: str | Path, seed: int = 0) -> Path:
    """A text-only Qwen2.5."""
    from transformers import Qwen2Config, Qwen2Model

    tokenizer = build_tokenizer()
    tokenizer.chat_template = QWEN2_5_TEMPLATE
    return _write(folder, seed, tokenizer, Qwen2Model, Qwen2Config(**_text(tokenizer)))


def build_tiny_qwen3(folder: str | Path, seed: int = 0) -> Path:
    """A text-only Qwen3."""
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = build_tokenizer()
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = QWEN3_TEMPLATE
    return _write(folder, seed, tokenizer, Qwen3Model, Qwen3Config(**_text(tokenizer), head_dim=32))


def _text(tokenizer: PreTrainedTokenizerBase, *, mrope: bool = False) -> dict[str, Any]:
    end, padding = tokenizer.eos_token_id, tokenizer.pad_token_id
    return {
        "vocab_size": len(tokenizer), "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32768, "initializer_range": 0.08,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6} | ({"mrope_section": [4, 6, 6]} if mrope else {}),
        "bos_token_id": padding, "eos_token_id": end, "pad_token_id": padding, "tie_word_embeddings": False,
    }  # fmt: skip


def _image_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    names = ("image_pad", "video_pad", "vision_start", "vision_end")
    keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    assert all(f"<|{name}|>" in SPECIAL_TOKENS for name in names)
    ids = [tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in names]
    return dict(zip(keys, ids)) | {"tie_word_embeddings": False}


def _write(
    folder: str | Path, seed: int, tokenizer: PreTrainedTokenizerBase, model_class: type, config: PretrainedConfig,
    pictures: dict | None = None,
) -> Path:  # fmt: skip
    import torch

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model_class(config).save_pretrained(folder)
    if pictures is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(pictures, indent=2) + "\n", encoding="utf-8")
    return folder

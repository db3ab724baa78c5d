"""A folder name -> a checkpoint folder of a small, randomly initialised Qwen2.5-VL with a tokenizer of its own.

The folder has the files of a published member of the family and is loaded by the same code.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basereward.demo.questions import KINDS
from basereward.demo.words import GENERAL_TEXT

if TYPE_CHECKING:
    from transformers import Qwen2_5_VLConfig, Qwen2Tokenizer

VOCAB_SIZE = 1024
SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
CHAT_TEMPLATE = """\
{%- if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' }}
    {%- if message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}
                {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
            {%- elif part['type'] == 'video' %}
                {{- '<|vision_start|><|video_pad|><|vision_end|>' }}
            {%- else %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

IMAGE_PROCESSOR = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "Qwen2VLImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "max_pixels": 12845056,
    "merge_size": 2,
    "min_pixels": 3136,
    "patch_size": 14,
    "processor_class": "Qwen2_5_VLProcessor",
    "resample": 3,
    "rescale_factor": 1 / 255,
    "temporal_patch_size": 2,
}
"""The family's own preprocessing; a picture of 56 x 56 pixels is just large enough to be left at its size."""


def build_tiny_backbone(folder: str | Path, seed: int = 0, **overrides: Any) -> Path:
    """Write config, weights, tokenizer, chat template and image preprocessing into `folder`; the same for the same seed.

    Args:
        folder: Made if need be.
        seed: Of the weights alone; the tokenizer is always the same.
        overrides: `text_config` and `vision_config` entries that differ from `tiny_config`.
    """
    import torch
    from transformers import Qwen2_5_VLModel

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2_5_VLModel(tiny_config(tokenizer, **overrides))
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGE_PROCESSOR, indent=2) + "\n", encoding="utf-8")
    return folder


def tiny_config(
    tokenizer: Qwen2Tokenizer, *, text_config: dict | None = None, vision_config: dict | None = None
) -> Qwen2_5_VLConfig:
    """The family's architecture (3-axis positions, window attention, grouped queries), a hundred thousandth of its size."""
    from transformers import Qwen2_5_VLConfig

    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in (t.strip("<|>") for t in SPECIAL_TOKENS)}
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32768, "initializer_range": 0.08,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
        "bos_token_id": ids["endoftext"], "eos_token_id": ids["im_end"], "pad_token_id": ids["endoftext"],
    } | (text_config or {})  # fmt: skip
    vision = {
        "depth": 2, "hidden_size": 96, "intermediate_size": 192, "num_heads": 4, "out_hidden_size": text["hidden_size"],
        "fullatt_block_indexes": [1], "window_size": 112, "patch_size": 14, "spatial_merge_size": 2,
        "temporal_patch_size": 2, "tokens_per_second": 2, "initializer_range": 0.08,
    } | (vision_config or {})  # fmt: skip
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=vision, image_token_id=ids["image_pad"], video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"], vision_end_token_id=ids["vision_end"], tie_word_embeddings=False,
    )  # fmt: skip


def build_tokenizer() -> Qwen2Tokenizer:
    """A byte-level BPE with the family's special tokens, learned from the demo's sentences and some general English."""
    from transformers import Qwen2Tokenizer

    names = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    blank = Qwen2Tokenizer(**names, additional_special_tokens=list(SPECIAL_TOKENS[1:]))
    tokenizer = blank.train_new_from_iterator([list(_training_text())], VOCAB_SIZE, show_progress=False)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.model_max_length = 32768
    return tokenizer


def _training_text() -> Iterator[str]:
    """Sentences of every kind as the model will see them, and the general text."""
    rng = random.Random(0)
    yield "system\nYou are a helpful assistant."
    for make in KINDS.values():
        for _ in range(200):
            row = make(rng, "train")
            yield "user\n" + row["messages"][-1]["content"][-1]["text"]
            yield from ("assistant\n" + response for response in row["responses"])
    yield from GENERAL_TEXT

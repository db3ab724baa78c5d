"""transformers' own processors with their PIL image processors, without the video part, which alone needs torchvision.

Nothing here uses basereward: this is the reference, and runs also where basereward is not installed.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from transformers import AutoConfig, AutoTokenizer
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

PROCESSORS = {
    "internvl": "InternVLProcessor", "qwen2_vl": "Qwen2VLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor", "qwen3_vl": "Qwen3VLProcessor",
}  # fmt: skip


class Text:
    """For a model that reads text only: the tokenizer, called as a processor."""

    image_processor = None

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def __call__(self, *, text, images=None, return_tensors="pt"):
        assert images is None
        return self.tokenizer(text, return_tensors=return_tensors)


def stock_processor(folder: Path, *, side: str = "right", min_pixels: int | None = None, max_pixels: int | None = None):
    """The processor of a folder; limits are those of ``backbone.min_pixels`` and ``backbone.max_pixels``."""
    config = AutoConfig.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
    if config.model_type not in PROCESSORS:
        return Text(tokenizer)
    limits, options = {"min_pixels": min_pixels, "max_pixels": max_pixels}, {}
    if config.model_type == "internvl":
        area = config.vision_config.image_size[0] ** 2
        limits = {name.replace("pixels", "patches"): round(value / area) for name, value in limits.items() if value is not None}
        options = {"image_seq_length": config.image_seq_length}
    kind = GotOcr2ImageProcessorPil if config.model_type == "internvl" else Qwen2VLImageProcessorPil
    images = kind.from_pretrained(folder, **{name: value for name, value in limits.items() if value is not None})
    module = importlib.import_module(f"transformers.models.{config.model_type}.processing_{config.model_type}")
    stock = getattr(module, PROCESSORS[config.model_type])
    # The class check of a processor's parts would refuse a missing video processor.
    without_video = type(stock.__name__, (stock,), {"check_argument_for_proper_class": lambda self, name, part: type(part)})
    return without_video(
        image_processor=images, tokenizer=tokenizer, video_processor=None, chat_template=tokenizer.chat_template, **options
    )


def conversation_text(processor, messages: list[dict]) -> str:
    """The chat template's text of a whole conversation; templates of text-only models take strings alone."""
    if processor.image_processor is None:
        messages = [{"role": m["role"], "content": "".join(part["text"] for part in m["content"])} for m in messages]
    return processor.tokenizer.apply_chat_template(messages, tokenize=False)

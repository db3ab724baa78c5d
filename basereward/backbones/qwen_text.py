"""Qwen2.5 and Qwen3 without pictures: 1-D positions, no vision tower."""

from __future__ import annotations

from basereward.backbones.base import Family


class QwenText(Family):
    """Dense Qwen2, Qwen2.5 (both of type ``qwen2``) and Qwen3."""

    model_types = ("qwen2", "qwen3")
    attention_key = ""  # the config is the language model's own


FAMILY = QwenText()

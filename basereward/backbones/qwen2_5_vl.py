"""Qwen2.5-VL: pictures and positions of Qwen2-VL; window attention in the vision tower is the stock model's own affair."""

from __future__ import annotations

from basereward.backbones.qwen2_vl import Qwen2VL


class Qwen25VL(Qwen2VL):
    """Qwen2.5-VL (3B, 7B, 32B, 72B)."""

    model_types = ("qwen2_5_vl",)


FAMILY = Qwen25VL()

"""AdamW on float32 weights: torch's own, in one kernel for each group of tensors."""

from __future__ import annotations

from collections.abc import Iterable

import torch


class AdamW(torch.optim.AdamW):
    """``torch.optim.AdamW``, fused, for float32 weights.

    Args:
        params: groups with ``lr`` and ``weight_decay``.
        betas: decay of the two moments. eps: added to the root of the second.
    """

    weight_dtype = torch.float32

    def __init__(self, params: Iterable, *, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=0.0, fused=True)

    @staticmethod
    def state_bytes(dtype: torch.dtype) -> dict[str, float]:
        """Bytes that the optimizer keeps for each weight of a dtype."""
        return {"moments": 8}

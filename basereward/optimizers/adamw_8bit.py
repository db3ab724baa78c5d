"""AdamW on float32 weights with both moments in 8 bits, of bitsandbytes; needs CUDA."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

import torch

from basereward.errors import MissingDependency, missing_extra


class AdamW8bit:
    """``bitsandbytes.optim.AdamW8bit``, for float32 weights: moments in blocks of 256 with a scale each.

    Calling it returns bitsandbytes' optimizer. Weights of fewer than 4,096 elements keep float32 moments.

    Args:
        params: groups with ``lr`` and ``weight_decay``.
        betas: decay of the two moments. eps: added to the root of the second.

    Raises:
        MissingDependency: bitsandbytes is not installed, or torch sees no CUDA device.

    Source: Dettmers et al., 8-bit Optimizers via Block-wise Quantization (arXiv 2110.02861).
    """

    weight_dtype = torch.float32

    def __new__(cls, params: Iterable, *, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        if importlib.util.find_spec("bitsandbytes") is None:
            raise missing_extra("bitsandbytes", "qlora", "optim=adamw_8bit")
        if not torch.cuda.is_available():
            raise MissingDependency("optim=adamw_8bit: needs a CUDA device, and torch sees none here; optim=adamw runs anywhere")
        import bitsandbytes

        return bitsandbytes.optim.AdamW8bit(list(params), lr=lr, betas=betas, eps=eps, weight_decay=0.0)

    @staticmethod
    def state_bytes(dtype: torch.dtype) -> dict[str, float]:
        """Bytes that the optimizer keeps for each weight of a dtype: two of one byte, and two float32 scales for 256 weights."""
        return {"moments": 2 + 2 * 4 / 256}

"""The ``flash-attn`` library's variable-length kernel (the extra ``flash``), where it is installed."""

from __future__ import annotations

import torch

from basereward.attention.variable_length import VariableLength
from basereward.tree import Layout


class FlashAttn(VariableLength):
    """``flash_attn.flash_attn_varlen_func`` of version 2.1 or later, which aligns the causal mask with the last key."""

    name = "flash_attn"

    def absent(self) -> str | None:
        """Not installed, or built for another torch."""
        try:
            import flash_attn  # noqa: F401
        except ImportError as error:
            return f"flash_attn cannot be imported ({error}); pip install 'basereward[flash]'"
        return None

    def kernel(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, *, causal: bool, scale: float | None,
        dropout: float,
    ) -> torch.Tensor:  # fmt: skip
        """See the parent."""
        from flash_attn import flash_attn_varlen_func

        return flash_attn_varlen_func(query, key, value, layout.query_ends, layout.key_ends, layout.longest_query,
                                      layout.longest_key, dropout_p=dropout, softmax_scale=scale, causal=causal)  # fmt: skip

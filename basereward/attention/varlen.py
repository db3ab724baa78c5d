"""``torch.nn.attention.varlen``: the variable-length kernel that comes with torch, so that CUDA needs no other library."""

from __future__ import annotations

import inspect
from functools import cache

import torch

from basereward.attention.variable_length import VariableLength
from basereward.tree import Layout

CAUSAL, FULL = (-1, 0), (-1, -1)


class Varlen(VariableLength):
    """Torch's own kernel. It knows no dropout."""

    name = "varlen"

    def absent(self) -> str | None:
        """Torch before 2.10 has no such module; 2.10 has no window, by which causal attention is asked for since 2.11."""
        try:
            parameters = _parameters()
        except ImportError:
            return f"torch {torch.__version__} has no torch.nn.attention.varlen; 2.11 has"
        return None if "window_size" in parameters else f"torch {torch.__version__} has an older form of it than 2.11"

    def refuses(self, use):
        """Also dropout, and heads that are no multiple of 8, which nothing fills up here."""
        if use.dropout:
            return "knows no dropout"
        if use.head % 8:
            return f"takes heads that are a multiple of 8, not {use.head}"
        return super().refuses(use)

    def kernel(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, *, causal: bool, scale: float | None,
        dropout: float,
    ) -> torch.Tensor:  # fmt: skip
        """See the parent."""
        from torch.nn.attention.varlen import varlen_attn

        # Until 2.11 fewer heads of keys than of queries are taken as they are; since 2.12 they are asked for.
        grouped = {"enable_gqa": query.shape[1] != key.shape[1]} if "enable_gqa" in _parameters() else {}
        return varlen_attn(query, key, value, layout.query_ends, layout.key_ends, layout.longest_query, layout.longest_key,
                           scale=scale, window_size=CAUSAL if causal else FULL, **grouped)  # fmt: skip


@cache
def _parameters() -> frozenset[str]:
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)

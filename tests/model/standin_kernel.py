"""A variable-length kernel that runs anywhere, written from the definition: to test what CUDA kernels are called with."""

from __future__ import annotations

import torch

from basereward.attention.base import Use
from basereward.attention.variable_length import VariableLength
from basereward.tree import Layout


def by_definition(query, key, value, query_ends, key_ends, *, causal: bool, scale: float | None) -> torch.Tensor:
    """(S, Hq, D), (K, Hkv, D) -> (S, Hq, D): each sequence alone; the last query sees the last key."""
    assert query_ends.dtype == key_ends.dtype == torch.int32 and len(query_ends) == len(key_ends)
    assert query_ends[0] == key_ends[0] == 0 and query_ends[-1] == len(query) and key_ends[-1] == len(key) == len(value)
    assert query.is_contiguous() and key.is_contiguous() and value.is_contiguous() and query.dtype == key.dtype == value.dtype
    key, value = (x.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    out = []
    for (a, b), (c, d) in zip(query_ends.unfold(0, 2, 1).tolist(), key_ends.unfold(0, 2, 1).tolist()):
        scores = torch.einsum("qhd,khd->hqk", query[a:b], key[c:d]) * scale
        if causal:
            place = torch.arange(b - a)[:, None] + (d - c) - (b - a)
            scores = scores.masked_fill(torch.arange(d - c) > place, -torch.inf)
        out.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), value[c:d]))
    return torch.cat(out)


class StandIn(VariableLength):
    """The definition in place of a kernel; takes any device and dtype, and notes what it was called with."""

    name = "standin"

    def __init__(self):
        self.calls: list[tuple[Layout, bool, torch.dtype]] = []

    def refuses(self, use: Use) -> str | None:
        return None

    def absent(self) -> str | None:
        return None

    def kernel(self, query, key, value, layout, *, causal, scale, dropout) -> torch.Tensor:
        self.calls.append((layout, causal, query.dtype))
        longest = [ends.diff().max().item() for ends in (layout.query_ends, layout.key_ends)]
        assert longest == [layout.longest_query, layout.longest_key]
        return by_definition(query, key, value, layout.query_ends, layout.key_ends, causal=causal, scale=scale)

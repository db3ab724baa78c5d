"""Attention of rows laid end to end, each for itself: what padding-free training does, for the opponent U."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from basereward.attention.base import Use
from basereward.attention.choose import BACKENDS
from basereward.attention.variable_length import VariableLength, flat
from basereward.tree import Layout

SEGMENTS = "bench_segments"


class Segments:
    """Lengths of the rows, also as the kernels of a CUDA device take them."""

    def __init__(self, lengths: tuple[int, ...], device: torch.device):
        self.lengths = lengths
        ends = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)
        self.layout = Layout(None, ends, ends, max(lengths), max(lengths))


def segment_attention(module, query, key, value, attention_mask, *, segments: Segments, scaling=None, **kwargs):
    """Causal attention within each row; the signature is that of transformers' attention functions.

    Args:
        query: (1, Hq, S, D). key, value: (1, Hkv, S, D).
    """
    if (backend := kernel_for(Use(query.device, query.dtype, query.shape[-1], dropout=False))) is not None:
        q, k, v = map(flat, (query, key, value))
        return backend.kernel(q, k, v, segments.layout, causal=True, scale=scaling, dropout=0.0)[None], None
    parts = zip(*(x.split(segments.lengths, dim=2) for x in (query, key, value)))
    grouped = query.shape[1] != key.shape[1]
    out = [F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped) for q, k, v in parts]
    return torch.cat(out, dim=2).transpose(1, 2).contiguous(), None


@functools.cache
def kernel_for(use: Use) -> VariableLength | None:
    """The same kernel that our side has here, flash-attn's or torch's; ``None`` where there is none, as on a CPU."""
    kernels = (backend for backend in BACKENDS.values() if isinstance(backend, VariableLength))
    return next((backend for backend in kernels if backend.refuses(use) is None), None)


AttentionInterface.register(SEGMENTS, segment_attention)
AttentionMaskInterface.register(SEGMENTS, lambda *args, **kwargs: None)


def switch(model: PreTrainedModel, name: str) -> None:
    """Switches the language model of a stock model; its vision tower keeps what it has."""
    model.set_attn_implementation({"text_config" if hasattr(model.config, "vision_config") else "": name})

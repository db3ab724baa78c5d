"""Attention of rows laid end to end, each for itself: what padding-free training does, for the opponent U."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.utils import is_flash_attn_2_available

SEGMENTS = "bench_segments"


class Segments:
    """Lengths of the rows; on a CUDA device also as its kernels take them."""

    def __init__(self, lengths: tuple[int, ...], device: torch.device):
        self.lengths, self.longest = lengths, max(lengths)
        self.ends = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)


def segment_attention(module, query, key, value, attention_mask, *, segments: Segments, scaling=None, **kwargs):
    """Causal attention within each row; the signature is that of transformers' attention functions.

    Args:
        query: (1, Hq, S, D). key, value: (1, Hkv, S, D).
    """
    if query.is_cuda and (kernel := cuda_kernel()) is not None:
        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        return kernel(q, k, v, segments, scaling)[None], None
    parts = zip(*(x.split(segments.lengths, dim=2) for x in (query, key, value)))
    grouped = query.shape[1] != key.shape[1]
    out = [F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped) for q, k, v in parts]
    return torch.cat(out, dim=2).transpose(1, 2).contiguous(), None


@functools.cache
def cuda_kernel() -> Callable | None:
    """flash-attn's where it is installed, else PyTorch's own; ``None`` for an older PyTorch without either."""
    if is_flash_attn_2_available():
        return _flash_attn
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return functools.partial(_varlen, varlen_attn)


def _flash_attn(q, k, v, segments: Segments, scaling):
    from flash_attn import flash_attn_varlen_func

    ends, longest = segments.ends, segments.longest
    return flash_attn_varlen_func(q, k, v, ends, ends, longest, longest, softmax_scale=scaling, causal=True)


def _varlen(function: Callable, q, k, v, segments: Segments, scaling):
    import inspect

    known = inspect.signature(function).parameters
    causal = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}  # since torch 2.13; before it
    if "enable_gqa" in known:
        causal["enable_gqa"] = q.shape[1] != k.shape[1]
    else:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    options = causal | ({"scale": scaling} if "scale" in known else {})
    return function(q, k, v, segments.ends, segments.ends, segments.longest, segments.longest, **options)


AttentionInterface.register(SEGMENTS, segment_attention)
AttentionMaskInterface.register(SEGMENTS, lambda *args, **kwargs: None)


def use(model: PreTrainedModel, name: str) -> None:
    """Switches the language model of a stock model; its vision tower keeps what it has."""
    model.set_attn_implementation({"text_config" if hasattr(model.config, "vision_config") else "": name})

"""Attention within the windows of a tower: against each window alone, and that windows of one length share a call."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from basereward.attention.sdpa import SDPA


@pytest.mark.parametrize(("lengths", "calls"), [((4, 4, 4), 1), ((4, 2, 4, 1, 2), 3), ((7,), 1), ((1, 5), 2)])
def test_windows_are_attention_of_each_alone(lengths, calls, monkeypatch):
    """Outputs and gradients, in float64."""
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(1, 3, sum(lengths), 8, dtype=torch.float64, generator=generator, requires_grad=True) for _ in "qkv"]
    alone = [
        torch.softmax(q @ k.mT * 0.3, -1) @ v for q, k, v in zip(*(x.split(lengths, dim=2) for x in tensors))
    ]  # fmt: skip
    expected = torch.cat(alone, dim=2).transpose(1, 2)
    made, attend = [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args, **options: made.append(1) or attend(*args, **options))
    ends = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    found = SDPA().windows(*tensors, ends=ends, longest=max(lengths), scale=0.3, dropout=0.0)
    assert len(made) == calls
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    upstream = torch.randn(found.shape, dtype=torch.float64, generator=generator)
    for a, b in zip(*(torch.autograd.grad(out, tensors, upstream) for out in (found, expected))):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)

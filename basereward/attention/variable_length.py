"""What the variable-length kernels share: one call for a row or for all windows, with the keys of prefixes gathered for it."""

from __future__ import annotations

import torch

from basereward.attention.base import HALF, OLDEST_GPU, WIDEST_HEAD, Backend, Use
from basereward.tree import Layout, Tree


class VariableLength(Backend):
    """A kernel over sequences side by side; ``kernel`` and ``absent`` are what differs."""

    def absent(self) -> str | None:
        """Why the kernel cannot be had on this machine; ``None`` where it can."""
        raise NotImplementedError

    def kernel(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, *, causal: bool, scale: float | None,
        dropout: float,
    ) -> torch.Tensor:  # fmt: skip
        """(S, Hq, D) queries, (K, Hkv, D) keys and values -> (S, Hq, D); causal from the last query and key back."""
        raise NotImplementedError

    def refuses(self, use: Use) -> str | None:
        """Half precision on a CUDA device of Ampere or later, heads of at most 256, and a kernel that aligns as it should."""
        if use.device.type != "cuda":
            return "needs a CUDA device"
        if torch.cuda.get_device_capability(use.device) < OLDEST_GPU:
            return "needs an NVIDIA GPU of the Ampere generation or later"
        if use.dtype not in HALF:
            return f"computes in bfloat16 or float16, not {str(use.dtype).removeprefix('torch.')}"
        if use.head > WIDEST_HEAD:
            return f"takes heads of at most {WIDEST_HEAD}, not {use.head}"
        return self.absent() or self.misaligned(use.device)

    def misaligned(self, device: torch.device) -> str | None:
        """Whether the last query sees the last key, on 2 queries and 3 keys: older kernels align the first ones, in silence."""
        query, key, value = torch.zeros(3, 3, 1, 64, device=device, dtype=torch.bfloat16)
        value[2] = 3.0
        ends = (torch.tensor([0, n], dtype=torch.int32, device=device) for n in (2, 3))
        out = self.kernel(query[:2], key, value, Layout(None, *ends, 2, 3), causal=True, scale=None, dropout=0.0)
        found = [round(x, 1) for x in out[:, 0, 0].tolist()]
        return (
            None if found == [0.0, 1.0] else f"its causal mask is not aligned with the last key (found {found}, not [0.0, 1.0])"
        )

    def tree(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, tree: Tree, scale: float | None, dropout: float
    ) -> torch.Tensor:
        """Every prefix and every response is a sequence of queries; a response's keys are its prefix's and its own."""
        layout = tree.layout(query.device)
        query, key, value = (flat(x) for x in (query, key, value))
        key, value = (GatherRows.apply(x, layout.gather) for x in (key, value))
        return self.kernel(query, key, value, layout, causal=True, scale=scale, dropout=dropout)[None]

    def windows(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, ends: torch.Tensor, longest: int,
        scale: float | None, dropout: float,
    ) -> torch.Tensor:  # fmt: skip
        """Every window is a sequence of queries and of keys."""
        layout = Layout(None, ends, ends, longest, longest)
        return self.kernel(*(flat(x) for x in (query, key, value)), layout, causal=False, scale=scale, dropout=dropout)[None]


def flat(x: torch.Tensor) -> torch.Tensor:
    """(1, H, S, D) -> (S, H, D), in the dtype of autocast where that is on: rotary positions may have widened it."""
    dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    return x[0].transpose(0, 1).to(dtype).contiguous()


class GatherRows(torch.autograd.Function):
    """``x[index]`` for (N, H, D), whose gradient is summed in float32: a prefix gets one from each of its responses."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """(N, H, D), (K,) int64 -> (K, H, D)."""
        ctx.save_for_backward(index)
        ctx.rows = len(x)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(K, H, D) -> (N, H, D)."""
        (index,) = ctx.saved_tensors
        wide = torch.promote_types(grad.dtype, torch.float32)
        summed = torch.zeros(ctx.rows, *grad.shape[1:], dtype=wide, device=grad.device)
        return summed.index_add_(0, index, grad.to(wide)).to(grad.dtype), None

"""What a way to compute attention offers, and the question whether it can be used for some tensors.

Letters: S tokens of a row, K gathered keys, T patches, H heads (Hq of queries, Hkv of keys), D width of a head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from basereward.tree import Tree

# Of the compute capability: the variable-length kernels are written for Ampere and later.
OLDEST_GPU = (8, 0)
HALF = (torch.bfloat16, torch.float16)
WIDEST_HEAD = 256


class Use(NamedTuple):
    """What decides whether a backend can be used.

    Attributes:
        device, dtype: of the queries as they will be computed, so after autocast. head: width of a head. dropout: whether any.
    """

    device: torch.device
    dtype: torch.dtype
    head: int
    dropout: bool


class Backend:
    """A way to compute attention over a packed row, and over the windows of a vision tower.

    Attributes:
        name: in ``compute.attention`` and the log.
    """

    name: str

    def refuses(self, use: Use) -> str | None:
        """Why it cannot be used, in a few words; ``None`` where it can."""
        return None

    def tree(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, tree: Tree, scale: float | None, dropout: float
    ) -> torch.Tensor:
        """(1, Hq, S, D) queries and (1, Hkv, past + S, D) keys and values of a packed row -> (1, S, Hq, D)."""
        raise NotImplementedError

    def windows(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, ends: torch.Tensor, longest: int,
        scale: float | None, dropout: float,
    ) -> torch.Tensor:  # fmt: skip
        """(1, H, T, D) of patches that see all of their own window -> (1, T, H, D).

        Args:
            ends: (windows + 1,) int32, where windows start, and T. longest: patches of the longest one.
        """
        raise NotImplementedError

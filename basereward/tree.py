"""The layout of a packed row: which span is a prefix, which are its responses, and what each token may see."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

# Responses that share a call compute (query, key) pairs of siblings for nothing; responses apart cost a call each. Measured on a
# CPU with 6 heads of 64: a call, forward and backward, costs about as much as some thousand pairs; ratios in docs/performance.md.
WASTED_PAIRS_PER_CALL = 4096


@dataclass(frozen=True)
class Piece:
    """Where one comparison lies in a row: prefix ``[start, prefix_end)``, then its responses, each ending at ``ends[i]``."""

    start: int
    prefix_end: int
    ends: tuple[int, ...]

    @property
    def prefix(self) -> int:
        """Tokens of the prefix."""
        return self.prefix_end - self.start

    @functools.cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Lengths of the responses, in order, by attention call: all in one where they are short, else one each.

        >>> Piece(0, 4, (6, 9)).groups, Piece(0, 4, (204, 504)).groups
        (((2, 3),), ((200,), (300,)))
        """
        lengths = tuple(b - a for a, b in zip((self.prefix_end, *self.ends), self.ends))
        wasted = sum(lengths) ** 2 - sum(n**2 for n in lengths)
        return tuple((n,) for n in lengths) if wasted > WASTED_PAIRS_PER_CALL * len(lengths) else (lengths,)


class Layout(NamedTuple):
    """A row as variable-length kernels take it: N sequences of queries side by side, and as many of keys.

    Attributes:
        gather: (K,) int64, where among the row's keys each is taken from; ``None`` where they are taken as they stand.
        query_ends, key_ends: (N + 1,) int32, from 0, where sequences start and the last one ends.
        longest_query, longest_key: tokens of the longest sequence.
    """

    gather: torch.Tensor | None
    query_ends: torch.Tensor
    key_ends: torch.Tensor
    longest_query: int
    longest_key: int


@dataclass
class Tree:
    """The layout of a row, and the masks and indices that all layers share.

    Attributes:
        pieces: where its comparisons lie among the keys.
        past: how many of the first keys, the prefix of its one piece, were computed before; the queries begin after them.
    """

    pieces: tuple[Piece, ...]
    past: int = 0
    _masks: dict[tuple, torch.Tensor] = field(default_factory=dict, repr=False, compare=False)
    _layouts: dict[torch.device, Layout] = field(default_factory=dict, repr=False, compare=False)

    @functools.cached_property
    def sizes(self) -> list[int]:
        """Tokens of each piece's prefix and of each of its groups of responses, along the row."""
        return [size for piece in self.pieces for size in (piece.prefix, *map(sum, piece.groups))]

    @property
    def query_sizes(self) -> list[int]:
        """The same for the queries: without what was computed before."""
        return [self.sizes[0] - self.past, *self.sizes[1:]]

    def after(self, past: int) -> Tree:
        """The layout of a row of responses alone when their prefix of ``past`` tokens was computed before.

        >>> Tree((Piece(0, 0, (2, 5)),)).after(7).pieces
        (Piece(start=0, prefix_end=7, ends=(9, 12)),)
        """
        assert len(self.pieces) == 1 and not self.pieces[0].prefix_end, "responses of one comparison alone"
        return Tree((Piece(0, past, tuple(past + end for end in self.pieces[0].ends)),), past)

    def mask(self, prefix: int, group: tuple[int, ...], device: torch.device) -> torch.Tensor:
        """``response_mask`` on a device; built once per row."""
        key = (prefix, group, device)
        if key not in self._masks:
            self._masks[key] = response_mask(prefix, group).to(device)
        return self._masks[key]

    def layout(self, device: torch.device) -> Layout:
        """``key_layout`` on a device; built once per row."""
        if device not in self._layouts:
            layout = key_layout(self.pieces, self.past)
            self._layouts[device] = Layout(*(x.to(device) if isinstance(x, torch.Tensor) else x for x in layout))
        return self._layouts[device]

    def without_masks(self) -> Tree:
        """The same layout, for keeping: the masks and indices of a long row take more memory than its labels."""
        return Tree(self.pieces, self.past)


def key_layout(pieces: Sequence[Piece], past: int = 0) -> Layout:
    """Each prefix is a sequence, and each response; a response's keys are its prefix's and its own.

    Args:
        past: how many of the first keys have no query; a prefix without any is no sequence.

    >>> layout = key_layout([Piece(0, 2, (3, 5))])
    >>> layout.gather.tolist(), layout.query_ends.tolist(), layout.key_ends.tolist()
    ([0, 1, 0, 1, 2, 0, 1, 3, 4], [0, 2, 3, 5], [0, 2, 5, 9])
    """
    queries, keys = [], []
    for i, piece in enumerate(pieces):
        prefix = np.arange(piece.start, piece.prefix_end)
        asked = len(prefix) - (past if i == 0 else 0)
        responses = [np.arange(a, b) for a, b in zip((piece.prefix_end, *piece.ends), piece.ends)]
        queries += [asked] * (asked > 0) + [len(own) for own in responses]
        keys += [prefix] * (asked > 0) + [np.concatenate([prefix, own]) for own in responses]
    sizes = [len(x) for x in keys]
    ends = (torch.tensor(np.cumsum([0, *lengths]), dtype=torch.int32) for lengths in (queries, sizes))
    return Layout(torch.from_numpy(np.concatenate(keys)), *ends, max(queries), max(sizes))


def response_mask(prefix: int, lengths: tuple[int, ...]) -> torch.Tensor:
    """(T, prefix + T) bool, for responses of T tokens in all: the whole prefix, and up to itself in the same response.

    >>> response_mask(1, (2, 1)).int()
    tensor([[1, 1, 0, 0],
            [1, 1, 1, 0],
            [1, 0, 0, 1]], dtype=torch.int32)
    """
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    same = (owner[:, None] == owner[None, :]).tril()
    return torch.cat([torch.ones(len(owner), prefix, dtype=torch.bool), same], dim=1)

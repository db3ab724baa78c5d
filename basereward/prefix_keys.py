"""One prompt with more responses than fit into a row: the prefix is computed once, and the rows after the first go on from its keys.

The first row is ``[prefix][response 1]...[response k]``; in every layer it leaves the keys and values of its prefix behind. The rows
after it hold responses alone, which attend to these. Exact, because a prefix never attends to what follows it. For scoring: nothing is
kept for a backward pass, and training has each comparison in one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from basereward.encode import Encoded, Lengths
from basereward.tree import Tree


@dataclass
class PrefixKeys:
    """Keys and values of one prefix of P tokens, rotated to their positions: written by its first row, read by the rows after it.

    Attributes:
        by_layer: number of the layer -> keys and values, (1, Hkv, P, D) each.
    """

    by_layer: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """P; 0 before the first row was computed."""
        return next(iter(self.by_layer.values()))[0].shape[2] if self.by_layer else 0

    def tree(self, tree: Tree) -> Tree:
        """The layout of the keys that a row sees: its own, after the prefix where that was computed before."""
        return tree.after(self.length) if self.by_layer else tree

    def joined(self, layer: int, key: torch.Tensor, value: torch.Tensor, tree: Tree) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values that a layer's attention reads; those of the first row's prefix are kept.

        Args:
            key, value: (1, Hkv, S, D) of the row. tree: what `tree` gave for it.
        """
        if not tree.past:
            prefix = tree.pieces[0].prefix
            # Copies: a view would keep the whole row's keys alive.
            self.by_layer[layer] = key[:, :, :prefix].clone(), value[:, :, :prefix].clone()
            return key, value
        prefix_k, prefix_v = self.by_layer[layer]
        return torch.cat([prefix_k, key], dim=2), torch.cat([prefix_v, value], dim=2)


def in_rows(item: Encoded, token_budget: int) -> list[Encoded]:
    """A comparison as rows of at most ``token_budget`` tokens, responses in order; itself where it fits.

    The first row has the prefix with its pictures, the others have none. Each holds at least one response, so that a long prefix or
    response can make a row above the budget. More than one row carry no preferences, and their states are not kept: they are for scoring.
    """
    if item.row_tokens <= token_budget:
        return [item]
    return [_part(item, first, last) for first, last in _spans(item.lengths, token_budget)]


def _spans(lengths: Lengths, token_budget: int) -> Iterator[tuple[int, int]]:
    """[first, last) responses of each row."""
    first, room = 0, token_budget - lengths.prefix
    for i, length in enumerate(lengths.responses):
        if length > room and i > first:
            yield first, i
            first, room = i, token_budget
        room -= length
    yield first, len(lengths.responses)


def _part(item: Encoded, first: int, last: int) -> Encoded:
    bare = replace(
        item,
        response_ids=item.response_ids[first:last],
        pairs=(),
        ties=(),
        ranks=None,
        scores=None,
        text_rewards=None,
        known=None,
    )
    responses = item.lengths.responses[first:last]
    if first == 0:
        return replace(bare, lengths=replace(item.lengths, responses=responses))
    empty = {
        "prefix_ids": item.prefix_ids[:0],
        "position_ids": item.position_ids[:, :0],
        "grids": [],
        "patches": [],
        "pictures": [],
    }
    return replace(bare, lengths=Lengths(0, responses), **empty)

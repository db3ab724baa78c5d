"""The layout of a packed row: which span is a prefix, which are its responses, and what each token may see."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Piece:
    """Where one comparison lies in a row: prefix ``[start, prefix_end)``, then its responses, each ending at ``ends[i]``."""

    start: int
    prefix_end: int
    ends: tuple[int, ...]


@dataclass
class Tree:
    """The layout of a row, and the masks that all layers share."""

    pieces: tuple[Piece, ...]
    _masks: dict[tuple[Piece, torch.device], torch.Tensor] = field(default_factory=dict, repr=False, compare=False)

    def mask(self, piece: Piece, device: torch.device) -> torch.Tensor:
        """(responses' tokens, prefix + responses' tokens) bool: what each response token may see. Built once per row."""
        key = (piece, device)
        if key not in self._masks:
            self._masks[key] = response_mask(piece).to(device)
        return self._masks[key]

    def without_masks(self) -> Tree:
        """The same layout, for keeping: the masks of a long row take more memory than its labels."""
        return Tree(self.pieces)


def response_mask(piece: Piece) -> torch.Tensor:
    """The whole prefix, and the tokens up to itself in the same response.

    >>> response_mask(Piece(0, 1, (3, 4))).int()      # a prefix of 1 token, responses of 2 and 1
    tensor([[1, 1, 0, 0],
            [1, 1, 1, 0],
            [1, 0, 0, 1]], dtype=torch.int32)
    """
    prefix, total = piece.prefix_end - piece.start, piece.ends[-1] - piece.start
    lengths = torch.tensor(piece.ends) - torch.tensor((piece.prefix_end, *piece.ends[:-1]))
    owner = torch.repeat_interleave(torch.arange(len(piece.ends)), lengths)
    same = (owner[:, None] == owner[None, :]).tril()
    return torch.cat([torch.ones(total - prefix, prefix, dtype=torch.bool), same], dim=1)

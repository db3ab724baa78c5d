"""Pooled hidden states of responses that a frozen backbone gave, kept by the comparison's tokens and pictures: the head trains alone.

Letters: R responses of a pack, K of them known, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from basereward.frozen.files import KeptFiles
from basereward.frozen.vision import digest

NAME = "states"


@dataclass(frozen=True)
class Known:
    """The states of one comparison: where, under which name, of responses of how many tokens, and, if they are there, (n, D) float32."""

    kept: KeptStates
    name: str
    lengths: tuple[int, ...]
    states: torch.Tensor | None


@dataclass(frozen=True)
class KeptStates:
    """Where the states of one frozen backbone and pooling are kept.

    Attributes:
        files, identity: of the folder: everything but the comparison that the states depend on.
        width: D.
    """

    files: KeptFiles
    identity: str
    width: int

    def find(self, prefix_ids: np.ndarray, response_ids: Sequence[np.ndarray], images: Sequence[object]) -> Known:
        """The states of a comparison, if they are there.

        Raises:
            ImageError: a picture cannot be read.
        """
        texts = [hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest() for ids in (prefix_ids, *response_ids)]
        name = hashlib.sha256(" ".join([*texts, *(digest(ref)[0] for ref in images)]).encode()).hexdigest()
        kept = self.files.read(self.identity, name)
        states = kept.get(NAME) if kept else None
        is_whole = states is not None and states.shape == (len(response_ids), self.width)
        return Known(self, name, tuple(map(len, response_ids)), states if is_whole else None)


@dataclass(frozen=True)
class PackStates:
    """The comparisons of a pack in order, those whose states are known and those that the pack's row holds.

    Attributes:
        kept: where states are, and where new ones go. is_known: of each comparison. lengths: tokens of each response of all of them.
        names: of those in the row. num_responses: of each comparison. known: (K, D) float32; ``None`` without any.
    """

    kept: KeptStates
    is_known: tuple[bool, ...]
    num_responses: tuple[int, ...]
    lengths: tuple[int, ...]
    names: tuple[str, ...]
    known: torch.Tensor | None

    @classmethod
    def of(cls, comparisons: Sequence[Known]) -> PackStates:
        """Of a pack's comparisons, in order."""
        there = [item.states for item in comparisons if item.states is not None]
        return cls(
            comparisons[0].kept, tuple(item.states is not None for item in comparisons), tuple(len(item.lengths) for item in comparisons),
            tuple(length for item in comparisons for length in item.lengths),
            tuple(item.name for item in comparisons if item.states is None), torch.cat(there) if there else None,
        )  # fmt: skip

    def map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> PackStates:
        """The same with its tensor somewhere else."""
        return replace(self, known=move(self.known)) if self.known is not None else self

    def joined(self, computed: torch.Tensor | None) -> torch.Tensor:
        """(R, D) float32 of all responses in order, given those of the row, which are kept from then on."""
        if computed is None:
            return self.known
        sizes = {
            flag: [n for n, is_known in zip(self.num_responses, self.is_known) if is_known is flag] for flag in (True, False)
        }
        new = computed.detach().float().split(sizes[False])
        for name, states in zip(self.names, new, strict=True):
            self.kept.files.write(self.kept.identity, name, {NAME: states})
        there, fresh = iter(self.known.split(sizes[True]) if self.known is not None else ()), iter(new)
        return torch.cat([next(there) if is_known else next(fresh) for is_known in self.is_known])

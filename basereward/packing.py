"""Collate packs: comparisons side by side in one row.

Letters: S tokens of a row, R responses, C comparisons, P patches.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from basereward.encode import Encoded
from basereward.frozen.states import PackStates
from basereward.frozen.vision import PackFeatures
from basereward.losses.labels import Labels
from basereward.patches import PictureSettings
from basereward.tree import Piece, Tree


@dataclass
class Pack:
    """What one forward pass sees: several comparisons in one row, no padding.

    Attributes:
        input_ids: (1, S) int64. position_ids: (A, 1, S) int64, A axes. tree: which span is whose.
        num_responses: responses of each of the C comparisons. labels: preferences, as indices into the R rewards.
        ids, sources, categories: of each comparison.
        patches: uint8 patches or tiles of all images, one per row, or ``None`` without images. grids: (images, 3) int64.
        pixel_mean, pixel_std: (3,) float32. frames: how often a still picture's frame is repeated.
        features: where image features are kept, those of the images; ``patches`` and ``grids`` are then of the missing ones alone.
        states: where states of responses are kept, those of the comparisons; the row and the images are then of the others alone.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    tree: Tree
    num_responses: tuple[int, ...]
    labels: Labels
    ids: tuple[str, ...]
    sources: tuple[str, ...]
    categories: tuple[str, ...]
    patches: torch.Tensor | None = None
    grids: torch.Tensor | None = None
    pixel_mean: torch.Tensor | None = None
    pixel_std: torch.Tensor | None = None
    frames: int = 2
    features: PackFeatures | None = None
    states: PackStates | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens in the row."""
        return self.input_ids.shape[1]

    @property
    def has_images(self) -> bool:
        """Whether the row has image tokens."""
        return self.patches is not None or self.features is not None

    @property
    def spans(self) -> list[tuple[int, int]]:
        """[start, end) of each response in the row, end token included, comparisons in order."""
        return [span for piece in self.tree.pieces for span in zip((piece.prefix_end, *piece.ends), piece.ends)]

    @property
    def response_lengths(self) -> tuple[int, ...]:
        """Tokens of each of the R responses, those of known states too."""
        return self.states.lengths if self.states is not None else tuple(end - start for start, end in self.spans)

    def _map(self, move) -> Pack:
        tensors = ("input_ids", "position_ids", "patches", "pixel_mean", "pixel_std")
        moved = {name: move(value) for name in tensors if (value := getattr(self, name)) is not None}
        kept = {name: value.map(move) for name in ("features", "states") if (value := getattr(self, name)) is not None}
        return replace(self, **moved, **kept, labels=self.labels.map(move))

    def to(self, device: torch.device | str) -> Pack:
        """The same pack on another device; ``grids`` stays on the host, where the vision tower reads it."""
        return self._map(lambda x: x.to(device, non_blocking=True))

    def used_by(self, stream: torch.cuda.Stream) -> None:
        """Keeps memory that was taken on another stream from being given to others before this one has read it."""

        def note(x: torch.Tensor) -> torch.Tensor:
            x.record_stream(stream)
            return x

        self._map(note)

    def labels_only(self) -> Pack:
        """The same pack without its pixels and its masks, for keeping."""
        return replace(self, patches=None, features=None, states=None, tree=self.tree.without_masks())

    def pin_memory(self) -> Pack:
        """The same pack in page-locked memory; DataLoader calls this."""
        return self._map(torch.Tensor.pin_memory)


def on_device(pack: Pack, device: torch.device) -> Pack:
    """The pack on a device; a GPU copies it while it computes what it was given before, if the pack is page-locked."""
    if device.type != "cuda":
        return pack.to(device)
    copies, compute = _copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(copies):
        moved = pack.to(device)
    compute.wait_stream(copies)
    moved.used_by(compute)
    return moved


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def collate(items: Sequence[Encoded], settings: PictureSettings | None) -> Pack:
    """Lays comparisons side by side in one row; those whose states are known add nothing to it.

    Args:
        items: encoded with pixels where they have images.
        settings: of the encoder that made them.
    """
    in_row = [item for item in items if not item.is_known]
    pieces, ids, positions = [], [np.zeros(0, np.int64)], [np.zeros((len(items[0].position_ids), 0), np.int64)]
    offset = 0
    for item in in_row:
        piece, offset = _piece(item, offset), offset + item.lengths.packed
        pieces.append(piece)
        ids += [item.prefix_ids, *item.response_ids]
        positions += [item.position_ids, *(_continue(item, len(r)) for r in item.response_ids)]
    num_responses = tuple(len(item.response_ids) for item in items)
    return Pack(
        input_ids=torch.from_numpy(np.concatenate(ids))[None],
        position_ids=torch.from_numpy(np.concatenate(positions, axis=1))[:, None],
        tree=Tree(tuple(pieces)),
        num_responses=num_responses,
        labels=Labels.of(items),
        ids=tuple(item.id for item in items),
        sources=tuple(item.source for item in items),
        categories=tuple(item.category for item in items),
        **_images(in_row, settings),
        **_kept(items, in_row),
    )


def _piece(item: Encoded, offset: int) -> Piece:
    middle = offset + item.lengths.prefix
    return Piece(offset, middle, tuple(int(end) for end in middle + np.cumsum(item.lengths.responses)))


def _continue(item: Encoded, count: int) -> np.ndarray:
    following = np.arange(item.next_position, item.next_position + count)
    return np.broadcast_to(following, (len(item.position_ids), count))


def _kept(items: Sequence[Encoded], in_row: Sequence[Encoded]) -> dict:
    """What is kept of the pictures of the row and of all comparisons."""
    pictures = [picture for item in in_row for picture in item.pictures]
    known = [item.known for item in items if item.known is not None]
    return {"features": PackFeatures.of(pictures) if pictures else None, "states": PackStates.of(known) if known else None}


def _images(items: Sequence[Encoded], settings: PictureSettings | None) -> dict:
    patches = [patch for item in items for patch in item.patches]
    if not patches:
        return {}
    return {
        "patches": torch.from_numpy(np.concatenate(patches)),
        "grids": torch.tensor([grid for item in items for grid in item.missing_grids]),
        "pixel_mean": torch.tensor(settings.mean, dtype=torch.float32),
        "pixel_std": torch.tensor(settings.std, dtype=torch.float32),
        "frames": settings.frames,
    }

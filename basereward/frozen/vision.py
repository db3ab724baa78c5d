"""Features of pictures that a frozen vision tower gave, kept by the content of the picture; see `docs/performance.md`.

Letters: N image tokens of a pack.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from PIL import Image
from transformers import PreTrainedModel

from basereward.backbones.base import ImageFeatures
from basereward.backbones.find import find_family
from basereward.frozen.files import KeptFiles
from basereward.frozen.rounding import Rows, from_rows, join_rows, split_rows, to_rows
from basereward.images import hold, load_image
from basereward.patches import Grid

if TYPE_CHECKING:
    from basereward.packing import Pack


@dataclass(frozen=True)
class Picture:
    """One image of a comparison: where its features are kept, under which digest, its layout, and they themselves if they are there."""

    kept: KeptVision
    name: str
    grid: Grid
    tokens: int
    rows: Rows | None


@dataclass(frozen=True)
class KeptVision:
    """Where the features of one frozen tower are kept, and in what form.

    Attributes:
        files, identity: of the folder: everything but the picture that the features depend on.
        dtype: float32, bfloat16 or int8; ``None`` as they are computed.
        compute: in which rounded ones are handed on.
        before_merger: what goes into the merger is kept, because the merger is trained.
    """

    files: KeptFiles
    identity: str
    dtype: str | None
    compute: torch.dtype
    before_merger: bool

    def find(self, ref: object, grid: Grid, tokens: int) -> tuple[Picture, Image.Image | None]:
        """A picture's features, or, where they are not kept, its pixels.

        Args:
            grid, tokens: of the picture as it is.

        Raises:
            ImageError: it cannot be read.
        """
        name, pixels = digest(ref)
        rows = self._read(name, grid, tokens)
        return Picture(self, name, grid, tokens, rows), (pixels() if rows is None else None)

    def _read(self, name: str, grid: Grid, tokens: int) -> Rows | None:
        rows = self.files.read(self.identity, name, note=str(grid))
        return rows if rows and all(len(matrix) == tokens for matrix in rows.values()) else None

    def features(self, backbone: PreTrainedModel, pack: Pack) -> ImageFeatures:
        """What the language model takes of the pack's images; those that are not kept go through the tower, and are from then on."""
        family = find_family(backbone.config)
        rows = pack.features.joined(self._computed(backbone, pack) if pack.patches is not None else [])
        matrices = from_rows(rows, None if self.dtype is None else self.compute)
        found = ImageFeatures(matrices[0], tuple(matrices[1:]))
        return family.merge(backbone, found) if self.before_merger else found

    @torch.no_grad()
    def _computed(self, backbone: PreTrainedModel, pack: Pack) -> list[Rows]:
        """Rows of each image that is not kept, in order. They are rounded as they are kept: every epoch sees the same."""
        family = find_family(backbone.config)
        found = family.before_merger(backbone, pack) if self.before_merger else family.image_features(backbone, pack)
        missing = pack.features.missing
        rows = split_rows(to_rows([found.tokens, *found.deep], self.dtype), [picture.tokens for picture in missing])
        for picture, own in zip(missing, rows, strict=True):
            self.files.write(self.identity, picture.name, own, note=str(picture.grid))
        return rows


@dataclass(frozen=True)
class PackFeatures:
    """The images of a pack, and the features of those that have been kept.

    Attributes:
        kept: where they are, and where the others go. is_kept: of each image, in order.
        missing: the others, whose patches the pack holds. tokens: of each that is kept. rows: theirs, one after another.
    """

    kept: KeptVision
    is_kept: tuple[bool, ...]
    missing: tuple[Picture, ...]
    tokens: tuple[int, ...]
    rows: Rows

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> PackFeatures:
        """Of a pack's pictures, in order."""
        there = [picture for picture in pictures if picture.rows is not None]
        return cls(
            pictures[0].kept, tuple(picture.rows is not None for picture in pictures),
            tuple(picture for picture in pictures if picture.rows is None), tuple(picture.tokens for picture in there),
            join_rows([picture.rows for picture in there]) if there else {},
        )  # fmt: skip

    def map(self, move: Callable[[torch.Tensor], torch.Tensor]) -> PackFeatures:
        """The same with its tensors somewhere else."""
        return replace(self, rows={name: move(matrix) for name, matrix in self.rows.items()})

    def joined(self, computed: Sequence[Rows]) -> Rows:
        """The rows of all images in order, given those of the missing ones: (N, W) each."""
        there, new = iter(split_rows(self.rows, self.tokens)), iter(computed)
        return join_rows([next(there) if is_kept else next(new) for is_kept in self.is_kept]) if computed else self.rows


def digest(ref: object) -> tuple[str, Callable[[], Image.Image]]:
    """What names a picture, and how to decode it: SHA-256 of its file's bytes, which are read once; of its pixels where it has no file.

    Raises:
        ImageError: there is no such file.
    """
    if isinstance(ref, Image.Image):
        picture = load_image(ref)
        return hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest(), lambda: picture
    data = hold(ref)
    return hashlib.sha256(data).hexdigest(), lambda: load_image(data)

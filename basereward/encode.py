"""Comparison -> token ids, rotary positions and uint8 patches: everything a pack is made of.

Prefix and responses are tokenized apart, so all responses of a comparison share their prefix by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from basereward.chat import ChatFormat
from basereward.errors import CheckpointError
from basereward.images import image_size, load_image
from basereward.patches import PatchSettings, to_patches
from basereward.records import Comparison, Pair

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Lengths:
    """Tokens of a comparison: its prefix (image tokens included), each response (end token included), each image."""

    prefix: int
    responses: tuple[int, ...]
    image_tokens: tuple[int, ...] = ()

    @property
    def packed(self) -> int:
        """Tokens it takes in a pack."""
        return self.prefix + sum(self.responses)

    @property
    def longest(self) -> int:
        """Tokens of its longest single sequence, prefix + response: what ``max_length`` limits."""
        return self.prefix + max(self.responses)


@dataclass
class Encoded:
    """One comparison, ready to be packed.

    Attributes:
        prefix_ids: (T,) int64, image markers expanded to one id per image token.
        position_ids: (3, T) int64, temporal, height and width rotary positions of the prefix.
        next_position: position at which every response continues.
        response_ids: one (t,) int64 array for each response, closed by the end-of-turn token.
        grids: (1, rows, columns) of patches for each image.
        patches: (P, C*p*p) uint8 for each image; empty before pixels are read.
        pairs, ties, ranks, scores, weight, id, source, category: as in the comparison.
    """

    prefix_ids: np.ndarray
    position_ids: np.ndarray
    next_position: int
    response_ids: list[np.ndarray]
    grids: list[Grid]
    lengths: Lengths
    pairs: tuple[Pair, ...] = ()
    ties: tuple[tuple[int, int], ...] = ()
    ranks: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None
    weight: float = 1.0
    id: str = ""
    source: str = ""
    category: str = ""
    patches: list[np.ndarray] = field(default_factory=list)

    @property
    def num_responses(self) -> int:
        """How many rewards it takes."""
        return len(self.response_ids)


class Encoder:
    """Turns comparisons into ids, positions and patches with the tokenizer and image limits of one checkpoint.

    Args:
        tokenizer: with Qwen's special tokens and a chat template.
        image_processor: whose limits and normalisation are used; ``None`` for a text-only backbone.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_processor: Qwen2VLImageProcessorPil | None):
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.chat = ChatFormat(tokenizer)
        self.patch_settings = PatchSettings.from_processor(image_processor) if image_processor is not None else None

    @classmethod
    def from_folder(
        cls, folder: str | Path, *, revision: str | None = None, min_pixels: int | None = None, max_pixels: int | None = None
    ) -> Encoder:
        """Loads the tokenizer and the image processor of a checkpoint folder or Hub id; limits given here replace its own."""
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        options = {"trust_remote_code": False} | ({"revision": revision} if revision else {})
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            options |= {k: v for k, v in limits.items() if v is not None}
            return cls(tokenizer, Qwen2VLImageProcessorPil.from_pretrained(folder, **options))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: expected a tokenizer and preprocessor_config.json beside the weights, found them incomplete; copy "
                f"the folder again. transformers says: {str(error).splitlines()[0]}"
            ) from error

    def save(self, folder: str | Path) -> None:
        """Writes tokenizer, chat template and image limits, in the files that transformers' Auto classes read."""
        self.tokenizer.save_pretrained(folder)
        if self.image_processor is not None:
            self.image_processor.save_pretrained(folder)

    def encode(self, comparison: Comparison, *, pixels: bool = True) -> Encoded:
        """Ids, positions and, unless ``pixels=False``, patches.

        Raises:
            ImageError: for a picture that cannot be read or has a shape the model does not take.
            CheckpointError: for a picture when the backbone reads text only.
        """
        patches, grids = self.pictures(comparison.images, pixels=pixels)
        counts = [self.patch_settings.num_tokens(grid) for grid in grids]
        prefix_ids = expand_markers(self.chat.prefix_ids(comparison.messages), self.chat.image_id, counts)
        response_ids = [np.array(self.chat.response_ids(text), dtype=np.int64) for text in comparison.responses]
        merge = self.patch_settings.merge_size if self.patch_settings else 1
        position_ids, next_position = rotary_positions(prefix_ids, self.chat.image_id, grids, merge)
        lengths = Lengths(len(prefix_ids), tuple(map(len, response_ids)), tuple(counts))
        return Encoded(
            prefix_ids, position_ids, next_position, response_ids, grids, lengths, pairs=comparison.pairs,
            ties=comparison.ties, ranks=comparison.ranks, scores=comparison.scores, weight=comparison.weight, id=comparison.id,
            source=comparison.source, category=comparison.category, patches=patches,
        )  # fmt: skip

    def length(self, comparison: Comparison) -> Lengths:
        """Token counts alone; image files are opened for their size, their pixels are not decoded."""
        return self.encode(comparison, pixels=False).lengths

    def pictures(self, images: Sequence[object], *, pixels: bool = True) -> tuple[list[np.ndarray], list[Grid]]:
        """Patches (none unless ``pixels``) and grids of pictures, in order."""
        if images and self.patch_settings is None:
            raise CheckpointError(f"this backbone reads text only, and the comparison has {len(images)} image(s)")
        if not pixels:
            return [], [self.patch_settings.grid(*image_size(ref)) for ref in images]
        pictures = [load_image(ref) for ref in images]
        grids = [self.patch_settings.grid(*picture.size) for picture in pictures]
        return [to_patches(picture, self.patch_settings) for picture in pictures], grids


def expand_markers(ids: Sequence[int], image_id: int, counts: Sequence[int]) -> np.ndarray:
    """Repeats the k-th image marker ``counts[k]`` times: (T',) -> (T,) int64.

    >>> expand_markers([5, 9, 6, 9], image_id=9, counts=[2, 3]).tolist()
    [5, 9, 9, 6, 9, 9, 9]
    """
    ids_T = np.asarray(ids, dtype=np.int64)
    repeats = np.ones(len(ids_T), dtype=np.int64)
    markers = np.flatnonzero(ids_T == image_id)
    assert len(markers) == len(counts), f"{len(markers)} image markers in the rendered prompt for {len(counts)} images"
    repeats[markers] = counts
    return np.repeat(ids_T, repeats)


def rotary_positions(ids_T: np.ndarray, image_id: int, grids: Sequence[Grid], merge: int) -> tuple[np.ndarray, int]:
    """Qwen2-VL's 3-D positions of a prefix: text counts on all three axes, an image spans its rows and columns from where it
    starts, and what follows continues after its longer side.

    Args:
        ids_T: (T,) with one image id for each image token.
        grids: (1, rows, columns) of patches of each image, in order; merge: patches merged per side.

    Returns:
        (3, T) int64 and the position of the token after the prefix.

    >>> positions, after = rotary_positions(np.array([5, 9, 9, 6]), 9, [(1, 2, 4)], merge=2)
    >>> positions.tolist(), after
    ([[0, 1, 1, 3], [0, 1, 1, 3], [0, 1, 2, 3]], 4)

    Source: Qwen2-VL (arXiv 2409.12191), section 2.1.
    """
    positions = np.empty((3, len(ids_T)), dtype=np.int64)
    at, position = 0, 0
    markers = np.flatnonzero(ids_T == image_id)
    taken = 0
    for _, rows, columns in grids:
        rows, columns = rows // merge, columns // merge
        start = markers[taken]
        taken += rows * columns
        positions[:, at:start] = np.arange(position, position + start - at)
        position += start - at
        at = start + rows * columns
        positions[0, start:at] = position
        positions[1, start:at] = np.repeat(np.arange(rows), columns) + position
        positions[2, start:at] = np.tile(np.arange(columns), rows) + position
        position += max(rows, columns)
    positions[:, at:] = np.arange(position, position + len(ids_T) - at)
    return positions, int(position + len(ids_T) - at)

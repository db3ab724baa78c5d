"""Comparison -> token ids, rotary positions and uint8 patches: everything a pack is made of.

Prefix and responses are tokenized apart, so all responses of a comparison share their prefix by construction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from basereward.backbones.find import RESTORE, fetch_config, find_family
from basereward.chat import ChatFormat
from basereward.errors import CheckpointError, DataError
from basereward.frozen.states import KeptStates, Known
from basereward.frozen.vision import KeptVision, Picture
from basereward.images import image_size, load_image
from basereward.patches import Grid
from basereward.records import Comparison, Pair

AT_ONCE = 256  # comparisons whose texts are tokenized together


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
        position_ids: (A, T) int64 rotary positions of the prefix: temporal, height and width, or one axis (A = 1).
        next_position: position at which every response continues.
        response_ids: one (t,) int64 array for each response, closed by the end-of-turn token.
        grids: layout of each image, as its family counts it.
        patches: uint8 patches or tiles of each image, one per row; empty before pixels are read.
        pictures: where image features are kept, each image, with its features if they are there; ``patches`` are of the others.
        known: where states of responses are kept, those of this comparison, or where they go.
        pairs, ties, ranks, scores, text_rewards, weight, id, source, category: as in the comparison.
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
    text_rewards: tuple[float, ...] | None = None
    weight: float = 1.0
    id: str = ""
    source: str = ""
    category: str = ""
    patches: list[np.ndarray] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    known: Known | None = None

    @property
    def is_known(self) -> bool:
        """Whether its states are kept, so that nothing but the head is to be computed."""
        return self.known is not None and self.known.states is not None

    @property
    def missing_grids(self) -> list[Grid]:
        """The layouts of the images that have patches."""
        return [picture.grid for picture in self.pictures if picture.rows is None] if self.pictures else self.grids

    @property
    def row_tokens(self) -> int:
        """Tokens that it adds to a pack's row."""
        return 0 if self.is_known else self.lengths.packed

    @property
    def num_responses(self) -> int:
        """How many rewards it takes."""
        return len(self.response_ids)


class Encoder:
    """Turns comparisons into ids, positions and patches with the tokenizer and image limits of one checkpoint.

    Args:
        tokenizer: with the family's special tokens and a chat template.
        image_processor: whose limits and normalisation are used; ``None`` for a text-only backbone.
        config: of the backbone; it decides the family.

    Attributes:
        vision, states: where image features and states of responses are kept, when they are (``keeping``).
    """

    vision: KeptVision | None = None
    states: KeptStates | None = None

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_processor: Any | None, config: PretrainedConfig):
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.family = find_family(config)
        self.chat = ChatFormat(tokenizer, self.family.image_token, self.family.image_markup)
        self.patch_settings = self.family.picture_settings(image_processor, config) if image_processor is not None else None

    @classmethod
    def from_folder(
        cls, folder: str | Path, *, revision: str | None = None, min_pixels: int | None = None, max_pixels: int | None = None
    ) -> Encoder:
        """Loads the tokenizer and the image processor of a checkpoint folder or Hub id; limits given here replace its own."""
        config = fetch_config(folder, revision=revision)
        check_tokenizer_file(Path(folder))
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        options = {"trust_remote_code": False} | ({"revision": revision} if revision else {})
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **options)
            check_vocabulary(tokenizer, config, folder)
            return cls(tokenizer, find_family(config).image_processor(folder, **limits, **options), config)
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
        """Ids, positions and, unless ``pixels=False``, patches or what is kept in their place.

        Raises:
            ImageError: for a picture that cannot be read or has a shape the model does not take.
            CheckpointError: for a picture when the backbone reads text only.
        """
        if pixels and self.keeps:
            return self.completed(self.encode(comparison, pixels=False), comparison.images)
        patches, grids = self.pictures(comparison.images, pixels=pixels)
        return self._assembled(comparison, next(self.chat.ids_of([comparison])), grids, patches)

    @property
    def keeps(self) -> bool:
        """Whether anything that the frozen model computes is kept."""
        return self.vision is not None or self.states is not None

    def without_kept(self) -> Encoder:
        """The same, decoding every picture."""
        plain = copy(self)
        plain.vision = plain.states = None
        return plain

    def completed(self, item: Encoded, images: Sequence[object]) -> Encoded:
        """A comparison that was encoded without its pixels, with what its pack needs of them: what is kept is not decoded.

        Raises:
            DataError: a picture has another shape by now.
        """
        if self.states is not None:
            item = replace(item, known=self.states.find(item.prefix_ids, item.response_ids, images))
        if item.is_known or not images:
            return item
        if self.vision is None:
            patches, grids = self.pictures(images)
            if grids != item.grids:
                raise DataError(
                    f"{item.id}: expected pictures of the layouts {item.grids}, as when its tokens were counted, found {grids}; a picture "
                    "was replaced meanwhile: start again"
                )
            return replace(item, patches=patches)
        found = [
            self.vision.find(ref, *place) for ref, place in zip(images, zip(item.grids, item.lengths.image_tokens), strict=True)
        ]
        patches = [self.patch_settings.cut(pixels) for _, pixels in found if pixels is not None]
        return replace(item, pictures=[picture for picture, _ in found], patches=patches)

    def encode_all(self, comparisons: Iterable[Comparison]) -> Iterator[Encoded]:
        """Each comparison without its pixels; many texts are tokenized at once."""
        comparisons = iter(comparisons)
        while items := list(islice(comparisons, AT_ONCE)):
            grids = [self.pictures(item.images, pixels=False)[1] for item in items]
            for item, ids, grid in zip(items, self.chat.ids_of(items), grids, strict=True):
                yield self._assembled(item, ids, grid, [])

    def _assembled(self, comparison: Comparison, ids: Sequence[list[int]], grids: list[Grid], patches: list) -> Encoded:
        counts = [self.patch_settings.num_tokens(grid) for grid in grids]
        prefix_ids = expand_markers(ids[0], self.chat.image_id, counts)
        response_ids = [np.array(response, dtype=np.int64) for response in ids[1:]]
        position_ids, next_position = self.family.positions(prefix_ids, self.chat.image_id, grids, self.patch_settings)
        lengths = Lengths(len(prefix_ids), tuple(map(len, response_ids)), tuple(counts))
        return Encoded(
            prefix_ids, position_ids, next_position, response_ids, grids, lengths, pairs=comparison.pairs,
            ties=comparison.ties, ranks=comparison.ranks, scores=comparison.scores, text_rewards=comparison.text_rewards,
            weight=comparison.weight, id=comparison.id, source=comparison.source, category=comparison.category, patches=patches,
        )  # fmt: skip

    def length(self, comparison: Comparison) -> Lengths:
        """Token counts alone; image files are opened for their size, their pixels are not decoded."""
        return next(self.lengths([comparison], [[image_size(ref) for ref in comparison.images]]))

    def lengths(self, comparisons: Sequence[Comparison], sizes: Sequence[Sequence[tuple[int, int]]]) -> Iterator[Lengths]:
        """Token counts of comparisons whose images have these (width, height); no file is opened."""
        for item, texts, sides in zip(comparisons, self.chat.counts_of(comparisons), sizes, strict=True):
            self._check_sees(len(sides))
            counts = tuple(self.patch_settings.num_tokens(self.patch_settings.grid(*size)) for size in sides)
            yield Lengths(texts[0] + sum(counts) - len(item.images), tuple(texts[1:]), counts)

    def pictures(self, images: Sequence[object], *, pixels: bool = True) -> tuple[list[np.ndarray], list[Grid]]:
        """Patches (none unless ``pixels``) and grids of pictures, in order."""
        self._check_sees(len(images))
        if not pixels:
            return [], [self.patch_settings.grid(*image_size(ref)) for ref in images]
        pictures = [load_image(ref) for ref in images]
        grids = [self.patch_settings.grid(*picture.size) for picture in pictures]
        return [self.patch_settings.cut(picture) for picture in pictures], grids

    def _check_sees(self, num_images: int) -> None:
        if num_images and self.patch_settings is None:
            raise CheckpointError(
                f"this backbone reads text only, and the comparison has {num_images} image(s); leave such rows out of the data, "
                "or choose a backbone that sees (docs/backbones.md)"
            )


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, folder: str | Path) -> None:
    """Refuses a tokenizer that gives ids for which the model has no embedding.

    Raises:
        CheckpointError: with both numbers.
    """
    size = config.get_text_config().vocab_size
    if len(tokenizer) > size:
        raise CheckpointError(
            f"{folder}: expected a tokenizer of at most {size} tokens, the vocab_size of config.json, found {len(tokenizer)}: it belongs "
            f"to another model; {RESTORE}, or copy the tokenizer of the model the weights come from"
        )


def check_tokenizer_file(folder: Path) -> None:
    """Refuses a local folder without a tokenizer: transformers would make up one with an empty vocabulary.

    Raises:
        CheckpointError: naming the file.
    """
    if folder.is_dir() and not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "tokenizer.model")):
        raise CheckpointError(
            f"{folder}: expected tokenizer.json (or vocab.json with merges.txt), found no tokenizer; {RESTORE}, or copy the file "
            "of the backbone it was trained from"
        )


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

"""Comparisons -> optimizer steps: drop what is too long, shuffle with a seed, and deal each batch into packs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm.auto import tqdm

from basereward.comparisons import Comparisons, View
from basereward.encode import Encoded, Encoder
from basereward.errors import ConfigError, DataError
from basereward.lengths import LengthTable, stored_lengths
from basereward.packing import Pack, collate, plan_packs
from basereward.records import Comparison
from basereward.shares import MixtureOrder
from basereward.store.stored import Stored

UNITS = ("comparison", "pair")
SHOW_PROGRESS_FROM = 2000

logger = logging.getLogger(__name__)


@dataclass
class Step:
    """What one optimizer step trains on: packs, and the number their weighted losses are divided by."""

    packs: list[Pack]
    total_weight: float

    def pin_memory(self) -> Step:
        """Page-locked copies of the packs; DataLoader calls this."""
        return Step([pack.pin_memory() for pack in self.packs], self.total_weight)


class EncodedDataset(Dataset):
    """Comparisons as the model reads them, the too long ones left out.

    Of sources that were read directly the token ids are kept in memory. Stored ones are read and encoded when they are asked for, in
    the workers, and their lengths come from the tables beside them. Pictures are always read when an item is asked for.

    Args:
        comparisons: to train on.
        encoder: of the model.
        max_length: tokens of the longest prefix + response; ``None`` for no limit.
        on_long: ``drop`` or ``error``.

    Attributes:
        comparisons: those that are not too long. lengths: of each of them. dropped: too long, by source.
    """

    def __init__(self, comparisons: Sequence[Comparison], encoder: Encoder, *, max_length: int | None, on_long: str):
        if on_long not in ("drop", "error"):
            raise ConfigError(f"batch.on_long: expected drop or error, found {on_long!r}")
        self.encoder = encoder
        given = comparisons if isinstance(comparisons, Comparisons) else Comparisons.of(comparisons)
        encoded: list[Encoded | None] = []
        tables = [self._measured(view, encoded) for view in given.views]
        lengths = LengthTable.joined(tables)
        fits = lengths.longest <= (np.inf if max_length is None else max_length)
        if on_long == "error" and not fits.all():
            first = int(np.argmin(fits))
            raise _too_long(given[first], int(lengths.longest[first]), max_length)
        self.comparisons, self.lengths = given.take(fits), lengths.take(fits)
        self.encoded = [item for item, keep in zip(encoded, fits) if keep]
        self.dropped = {view.name: int(n) for view, n in zip(given.views, given.sums(~fits)) if n}

    def _measured(self, view: View, encoded: list[Encoded | None]) -> LengthTable:
        """The view's lengths; what had to be encoded for them is added to ``encoded``, None for stored comparisons."""
        if isinstance(view.part, Stored):
            encoded += [None] * len(view)
            with _bar(len(view.part), f"{view.name}: token lengths") as bar:
                return stored_lengths(view.part, self.encoder, bar.update).take(view.rows)
        with _bar(len(view), "encoding") as bar:
            for item in self.encoder.encode_all(view):
                encoded.append(item)
                bar.update()
        return LengthTable.of([item.lengths for item in encoded[len(encoded) - len(view) :]])

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> Encoded:
        """The encoded comparison with its patches.

        Raises:
            DataError: a stored comparison has another length than when it was prepared: a picture was replaced since the run began.
        """
        comparison, encoded = self.comparisons[index], self.encoded[index]
        if encoded is None:
            encoded = self.encoder.encode(comparison)
            if encoded.lengths.packed != self.lengths.packed[index]:
                raise DataError(
                    f"{comparison.where} ({comparison.id}): expected {self.lengths.packed[index]} tokens, as when it was prepared; found "
                    f"{encoded.lengths.packed}; a picture was replaced since this run began: prepare the source again"
                )
            return encoded
        return self.encoder.completed(encoded, comparison.images)


def check_unit(unit: str) -> None:
    """Refuses what nothing is counted by."""
    if unit not in UNITS:
        raise ConfigError(f"loss.unit: expected {' or '.join(UNITS)}, found {unit!r}")


def _bar(total: int, label: str) -> tqdm:
    return tqdm(total=total, desc=label, unit="cmp", disable=total < SHOW_PROGRESS_FROM)


def _too_long(comparison: Comparison, length: int, limit: int | None) -> DataError:
    return DataError(
        f"{comparison.where} ({comparison.id}): expected at most batch.max_length={limit} tokens, found {length}; "
        "raise batch.max_length, lower backbone.max_pixels, or set batch.on_long=drop"
    )


class BatchSampler(Sampler[list[int]]):
    """Batches of comparisons in the mixture's order; the last batch of an epoch may be smaller.

    Args:
        order: epoch -> the numbers of its comparisons.
        batch_size: comparisons of a batch, on all ranks together.
        rank, num_ranks: this process and how many there are. A rank has every ``num_ranks``-th comparison of each batch, so that
            the batches are the same whatever the number of ranks; in a small last batch it may have none.
    """

    def __init__(self, order: MixtureOrder, batch_size: int, *, rank: int = 0, num_ranks: int = 1):
        self.order, self.batch_size, self.rank, self.num_ranks, self.epoch = order, batch_size, rank, num_ranks, 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch)
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size][self.rank :: self.num_ranks].tolist()


class ToStep:
    """The collate function: a batch of encoded comparisons -> packs under the token budget.

    Args:
        unit: what weighs 1 in the loss: ``comparison`` (its pairs share it) or ``pair``.
        count_ties: with ``unit=pair``, tied pairs weigh 1 too; for a loss that reads them.
    """

    def __init__(self, encoder: Encoder, token_budget: int, unit: str, *, count_ties: bool = False):
        check_unit(unit)
        self.settings, self.token_budget, self.unit = encoder.patch_settings, token_budget, unit
        self.count_ties = count_ties

    def __call__(self, items: Sequence[Encoded]) -> Step:
        if self.unit == "pair":
            items = [dataclasses.replace(item, weight=item.weight * self._num_pairs(item)) for item in items]
        plan = plan_packs([item.row_tokens for item in items], self.token_budget)
        packs = [collate([items[i] for i in members], self.settings) for members in plan]
        return Step(packs, float(sum(item.weight for item in items)))

    def _num_pairs(self, item: Encoded) -> int:
        return len(item.pairs) + (len(item.ties) if self.count_ties else 0)


def make_loader(dataset: EncodedDataset, sampler: BatchSampler, to_step: ToStep, *, workers: int, pin: bool) -> DataLoader:
    """A loader that yields one ``Step`` for each batch of the sampler."""
    return DataLoader(
        dataset, batch_sampler=sampler, collate_fn=to_step, num_workers=workers, pin_memory=pin,
        persistent_workers=workers > 0, prefetch_factor=2 if workers else None,
    )  # fmt: skip

"""Comparisons -> optimizer steps: drop what is too long, shuffle with a seed, and deal each batch into this rank's packs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm.auto import tqdm

from basereward import ranks
from basereward.comparisons import Comparisons, View
from basereward.encode import Encoded, Encoder
from basereward.errors import ConfigError, DataError
from basereward.lengths import LengthTable, stored_lengths
from basereward.packing import Pack, collate
from basereward.planner import plan, plan_packs
from basereward.records import Comparison
from basereward.shares import MixtureOrder
from basereward.store.stored import Stored

UNITS = ("comparison", "pair")
SHOW_PROGRESS_FROM = 2000
# Finished steps that a worker holds.
STEPS_PER_WORKER = 2

logger = logging.getLogger(__name__)


@dataclass
class Step:
    """What this rank computes of an optimizer step.

    Attributes:
        packs: forward passes. total_weight: of its comparisons; the losses are divided by that of all ranks.
        plan: for each pack, the numbers of its comparisons in the data set.
    """

    packs: list[Pack]
    total_weight: float
    plan: list[list[int]]

    def pin_memory(self) -> Step:
        """Page-locked copies of the packs; DataLoader calls this."""
        return Step([pack.pin_memory() for pack in self.packs], self.total_weight, self.plan)


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

    def __getitems__(self, plan: list[list[int]]) -> list[list[tuple[int, Encoded]]]:
        """The packs of a plan: for each, the numbers and the encoded comparisons in it; DataLoader calls this."""
        return [[(index, self[index]) for index in members] for members in plan]

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
    return tqdm(total=total, desc=label, unit="cmp", disable=total < SHOW_PROGRESS_FROM or not ranks.is_main())


def _too_long(comparison: Comparison, length: int, limit: int | None) -> DataError:
    return DataError(
        f"{comparison.where} ({comparison.id}): expected at most batch.max_length={limit} tokens, found {length}; "
        "raise batch.max_length, lower backbone.max_pixels, or set batch.on_long=drop"
    )


class Dealer:
    """Deals batches into the packs of this rank.

    Args:
        lengths: (n,) tokens of each comparison of the data set. costs: (n,) of each, in any unit.
        token_budget: of a pack; the same on all ranks, which deal the same batch and must agree.
        rank, num_ranks: this process, and how many share each batch.

    Attributes:
        own_budget: of this rank's packs, which an out-of-memory error lowers; what a rank has to compute stays the same.
    """

    def __init__(self, lengths: np.ndarray, costs: np.ndarray, token_budget: int, *, rank: int = 0, num_ranks: int = 1):
        self.lengths, self.costs, self.token_budget, self.own_budget = lengths, costs, token_budget, token_budget
        self.rank, self.num_ranks = rank, num_ranks

    def __call__(self, batch: np.ndarray) -> list[list[int]]:
        """The packs that this rank computes of a batch: numbers of comparisons. None in a last batch smaller than the ranks."""
        ranks = plan(self.lengths[batch], self.costs[batch], self.token_budget, num_ranks=self.num_ranks)
        return self.within_own([batch[members].tolist() for members in ranks[self.rank]])

    def within_own(self, packs: list[list[int]]) -> list[list[int]]:
        """The same comparisons in packs within this rank's own budget; the packs as they are where all are."""
        if self.own_budget >= self.token_budget or all(self.fits(members) for members in packs):
            return packs
        batch = np.array([i for members in packs for i in members])
        dealt = plan_packs(self.lengths[batch], self.own_budget, self.costs[batch])
        return [batch[members].tolist() for members in dealt]

    def fits(self, members: list[int]) -> bool:
        """Whether a pack is within this rank's own budget, or cannot be made smaller."""
        return len(members) == 1 or int(self.lengths[members].sum()) <= self.own_budget


class BatchSampler(Sampler[list[list[int]]]):
    """Batches of comparisons in the mixture's order, dealt into packs; the last batch of an epoch may be smaller.

    Args:
        order: epoch -> the numbers of its comparisons.
        batch_size: comparisons of a batch, on all ranks together, so that the batches are the same whatever the number of ranks.
        deal: batch -> this rank's packs.
    """

    def __init__(self, order: MixtureOrder, batch_size: int, deal: Dealer):
        self.order, self.batch_size, self.deal, self.epoch = order, batch_size, deal, 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[list[int]]]:
        order = self.order(self.epoch)
        for start in range(0, len(order), self.batch_size):
            yield self.deal(order[start : start + self.batch_size])


class ToStep:
    """The collate function: packs of encoded comparisons -> a step.

    Args:
        unit: what weighs 1 in the loss: ``comparison`` (its pairs share it) or ``pair``.
        count_ties: with ``unit=pair``, tied pairs weigh 1 too; for a loss that reads them.
    """

    def __init__(self, encoder: Encoder, unit: str, *, count_ties: bool = False):
        check_unit(unit)
        self.settings, self.unit, self.count_ties = encoder.patch_settings, unit, count_ties

    def __call__(self, packs: Sequence[Sequence[tuple[int, Encoded]]]) -> Step:
        packs = _joined(packs)
        plan = [[index for index, _ in members] for members in packs]
        items = [[self._weighted(item) for _, item in members] for members in packs]
        total = float(sum(item.weight for members in items for item in members))
        return Step([collate(members, self.settings) for members in items], total, plan)

    def _weighted(self, item: Encoded) -> Encoded:
        if self.unit == "comparison":
            return item
        num_pairs = len(item.pairs) + (len(item.ties) if self.count_ties else 0)
        return dataclasses.replace(item, weight=item.weight * num_pairs)


def _joined(packs: Sequence[Sequence[tuple[int, Encoded]]]) -> list[Sequence[tuple[int, Encoded]]]:
    """The packs, those whose rows would be empty, since all their states are kept, as one."""
    empty = [members for members in packs if not any(item.row_tokens for _, item in members)]
    others = [members for members in packs if any(item.row_tokens for _, item in members)]
    return [*others, [member for members in empty for member in members]] if empty else others


def make_loader(dataset: EncodedDataset, sampler: BatchSampler, to_step: ToStep, *, workers: int, pin: bool) -> DataLoader:
    """A loader that yields one ``Step`` for each batch of the sampler."""
    return DataLoader(
        dataset, batch_sampler=sampler, collate_fn=to_step, num_workers=workers, pin_memory=pin,
        persistent_workers=workers > 0, prefetch_factor=STEPS_PER_WORKER if workers else None,
    )  # fmt: skip

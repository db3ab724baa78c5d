"""Comparisons -> optimizer steps: drop what is too long, shuffle with a seed, and deal each batch into packs."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm.auto import tqdm

from basereward.encode import Encoded, Encoder
from basereward.errors import ConfigError, DataError
from basereward.packing import Pack, collate, plan_packs
from basereward.records import Comparison
from basereward.shares import MixtureOrder

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
    """Comparisons with their token ids kept in memory; pictures are read when an item is asked for.

    Args:
        comparisons: to train on.
        encoder: of the model.
        max_length: tokens of the longest prefix + response; ``None`` for no limit.
        on_long: ``drop`` or ``error``.

    Attributes:
        dropped: too long, by source. sizes: comparisons of each source, which stand one source after another.
    """

    def __init__(self, comparisons: Sequence[Comparison], encoder: Encoder, *, max_length: int | None, on_long: str):
        if on_long not in ("drop", "error"):
            raise ConfigError(f"batch.on_long: expected drop or error, found {on_long!r}")
        self.encoder = encoder
        self.comparisons: list[Comparison] = []
        self.encoded: list[Encoded] = []
        self.sizes: dict[str, int] = {}
        self.dropped: Counter[str] = Counter()
        quiet = len(comparisons) < SHOW_PROGRESS_FROM
        for comparison in tqdm(comparisons, desc="encoding", unit="cmp", disable=quiet):
            encoded = encoder.encode(comparison, pixels=False)
            if max_length is not None and encoded.lengths.longest > max_length:
                self._too_long(comparison, encoded.lengths.longest, max_length, on_long)
            else:
                self.comparisons.append(comparison)
                self.encoded.append(encoded)
                self.sizes[comparison.source] = self.sizes.get(comparison.source, 0) + 1

    def _too_long(self, comparison: Comparison, length: int, limit: int, on_long: str) -> None:
        if on_long == "error":
            raise DataError(
                f"{comparison.where} ({comparison.id}): expected at most batch.max_length={limit} tokens, found {length}; "
                "raise batch.max_length, lower backbone.max_pixels, or set batch.on_long=drop"
            )
        self.dropped[comparison.source] += 1

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> Encoded:
        """The encoded comparison with its patches."""
        comparison, encoded = self.comparisons[index], self.encoded[index]
        if not comparison.images:
            return encoded
        patches, _ = self.encoder.pictures(comparison.images)
        return dataclasses.replace(encoded, patches=patches)


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
        if unit not in ("comparison", "pair"):
            raise ConfigError(f"loss.unit: expected comparison or pair, found {unit!r}")
        self.settings, self.token_budget, self.unit = encoder.patch_settings, token_budget, unit
        self.count_ties = count_ties

    def __call__(self, items: Sequence[Encoded]) -> Step:
        if self.unit == "pair":
            items = [dataclasses.replace(item, weight=item.weight * self._num_pairs(item)) for item in items]
        plan = plan_packs([item.lengths.packed for item in items], self.token_budget)
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

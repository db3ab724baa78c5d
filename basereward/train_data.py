"""The data of a training run: what the loss can use of them, what was left out, and the order in which they come."""

from __future__ import annotations

import itertools
import logging

from basereward.against_paper import epoch_beside_paper
from basereward.batches import EncodedDataset
from basereward.encode import Encoder
from basereward.errors import DataError
from basereward.losses.base import Loss
from basereward.mixture import DataBundle
from basereward.problems import counted, in_words
from basereward.settings import BatchSettings
from basereward.shares import MixtureOrder, account, shares_table

logger = logging.getLogger(__name__)


def check_data(loss: Loss, data: DataBundle) -> None:
    """Refuses data that the loss cannot use, and validation data without a pair to be right about."""
    loss.check_data(itertools.chain(data.train.preferences(), data.val))
    if data.val and not any(comparison.pairs for comparison in data.val):
        raise DataError(
            f"data: expected validation comparisons with pairs, by which the best checkpoint is chosen; found {len(data.val)}, all "
            "tied; raise data.val_fraction, or name a file in data.val"
        )


def encode_data(data: DataBundle, encoder: Encoder, batch: BatchSettings) -> EncodedDataset:
    """The training comparisons as the model reads them.

    Raises:
        DataError: all are longer than ``batch.max_length``.
    """
    dataset = EncodedDataset(data.train, encoder, max_length=batch.max_length, on_long=batch.on_long)
    if not len(dataset):
        raise DataError(
            f"data: expected comparisons of at most batch.max_length={batch.max_length} tokens, found none; longer: "
            f"{in_words(dataset.dropped)}; raise batch.max_length or lower backbone.max_pixels"
        )
    note_dropped(data, dataset)
    return dataset


def note_dropped(data: DataBundle, dataset: EncodedDataset) -> None:
    """Adds the too long ones to the manifest and says so."""
    for source, count in dataset.dropped.items():
        data.manifest["sources"][source].setdefault("dropped", {})["longer than batch.max_length"] = count
        logger.warning("%s: longer than batch.max_length and dropped: %s", source, counted(count, "comparison"))


def mix(data: DataBundle, dataset: EncodedDataset, seed: int) -> MixtureOrder:
    """The order of the comparisons; what an epoch takes of each source goes into the manifest, and is said where there are several."""
    comparisons = dataset.comparisons
    order = MixtureOrder(comparisons.sizes, seed, data.mixture)
    facts = {"pairs": comparisons.num_pairs(), "tokens": dataset.lengths.packed, "images": comparisons.num_images()}
    data.manifest["mixture"] = account(order, {name: item["rows_read"] for name, item in data.manifest["sources"].items()}, facts)
    if len(order.quotas) > 1 or len(order) != len(dataset):
        logger.info("%s", shares_table(data.manifest["mixture"]))
    if beside_paper := epoch_beside_paper(data.manifest):
        logger.info("%s", beside_paper)
    return order


def show_example(dataset: EncodedDataset) -> None:
    """Prints the first comparison as the model sees it, image tokens folded."""
    encoder = dataset.encoder
    item = encoder.encode(dataset.comparisons[0], pixels=False)
    marker = encoder.chat.image_id
    folded = [t for t, before in zip(item.prefix_ids, [None, *item.prefix_ids[:-1]]) if not (t == marker and before == marker)]
    logger.info(
        "first comparison (%s, %d tokens, images folded):\n%s", item.id, item.lengths.packed, encoder.tokenizer.decode(folded)
    )
    for ids in item.response_ids:
        logger.info("  response: %s", encoder.tokenizer.decode(ids))
    logger.info("  pairs: %s", ", ".join(f"{p.better} better than {p.worse}" for p in item.pairs))

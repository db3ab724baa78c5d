"""A config of data sources -> training and validation comparisons, and the manifest that says where each row went.

What happens to a source, in this order: its recipe reads rows, `sources.source_stream` passes the comparisons through the steps that
look at one source alone, and they are held in memory or were stored by `basereward data prepare` (`store`). Then all of them together:
`cleaning` leaves out what `data.clean` says, `overlap` looks for benchmarks, `load_data` names the rest, sets validation data apart
(`split`) and says how much of each source an epoch takes (`shares`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from basereward.cleaning.clean import count_dropped, reasons_to_drop
from basereward.cleaning.settings import read_settings
from basereward.comparisons import Comparisons, View, named
from basereward.data_settings import SCORES, DataSettings, read_data_settings, source_nodes, val_node
from basereward.errors import DataError
from basereward.overlap.check import check_overlap
from basereward.problems import counted, in_words
from basereward.reward_files import RewardFiles
from basereward.shares import Mixture
from basereward.sources import epoch_shares, make_source
from basereward.split import set_apart
from basereward.store.identity import store_root

log = logging.getLogger(__name__)


@dataclass
class DataBundle:
    """What a run trains and validates on."""

    train: Comparisons
    val: Comparisons
    manifest: dict
    """Ready for JSON: `sources` (by name), `val_sources`, `split` with sizes, seed and the ids set apart, and `overlap`, empty where no
    benchmark was looked for."""
    mixture: Mixture | None = None
    """How much of each source an epoch takes; all of it once when None."""


def load_data(data_cfg: Mapping, *, seed: int) -> DataBundle:
    """Reads all sources and sets validation data apart.

    The split takes whole groups (same prompt and content of images), chosen by a hash of the seed and the prompt: the same comparisons
    are set apart whatever the order of rows and sources, and wherever the files lie.

    Args:
        data_cfg: keys of `DataSettings`.
        seed: of the run.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
        DataError: rows with problems (`on_error: fail`), or no data.
    """
    settings = read_data_settings(data_cfg)
    sources = source_nodes(settings)
    mixture = epoch_shares(sources, settings)
    comparisons, accounts = _read_all(sources, settings, "data.sources")
    given, val_accounts = (
        _read_all({"val": val_node(settings)}, settings, "data") if settings.val is not None else (Comparisons([]), {})
    )
    # Named before any is left out: files of rewards meet the same comparisons whatever cleaning takes.
    comparisons = _cleaned(named(comparisons), accounts, settings)
    comparisons, overlap = _compared(comparisons, given, accounts, settings)
    train, val, split = _split(comparisons, given, settings, seed)
    renamed = sum(len(view.names) for view in comparisons.views)
    split |= {"train": len(train), "val": len(val), "val_ids": [item.id for item in val], "ids_made_unique": renamed}
    if settings.text_only_scores is not None:
        rewards = RewardFiles(settings.text_only_scores, (*accounts, *val_accounts), SCORES)
        train, val = train.map(rewards.attach), val.map(rewards.attach)
    if settings.without_images:
        train, val = train.without_images(), val.without_images()
    return DataBundle(train, val, {"sources": accounts, "val_sources": val_accounts, "split": split, "overlap": overlap}, mixture)


def _read_all(nodes: Mapping, settings: DataSettings, key: str) -> tuple[Comparisons, dict]:
    """All sources are built before the first is read: a mistyped key of the last one must not cost reading the others."""
    sources = [make_source(name, node, f"{key}.{name}", settings) for name, node in nodes.items()]
    parts, accounts = {}, {}
    for source in sources:
        parts[source.name], accounts[source.name] = source.part()
    return Comparisons([View(name, part) for name, part in parts.items()]), accounts


def _cleaned(comparisons: Comparisons, accounts: dict[str, dict], settings: DataSettings) -> Comparisons:
    """What stays of all sources together: a comparison may repeat or deny one of another source."""
    wanted = read_settings(settings.clean)
    if wanted is None:
        return comparisons
    reasons = np.array(reasons_to_drop(comparisons, wanted, tuple(accounts)), dtype=object)
    return _without(comparisons, reasons, accounts, "data.clean")


def _compared(
    comparisons: Comparisons, val: Comparisons, accounts: dict[str, dict], settings: DataSettings
) -> tuple[Comparisons, dict[str, Any]]:
    """What may be trained on though benchmarks hold it, and the numbers of what they hold."""
    if settings.overlap is None or not settings.overlap_with:
        return comparisons, {}
    found, numbers = check_overlap(
        comparisons,
        val,
        mode=settings.overlap,
        entries=settings.overlap_with,
        by_picture=settings.overlap_pictures,
        root=store_root(settings.prepared),
    )
    if settings.overlap != "drop":
        return comparisons, numbers
    return _without(comparisons, np.where(found, "stands in a benchmark", None), accounts, "data.overlap"), numbers


def _without(comparisons: Comparisons, reasons: np.ndarray, accounts: dict[str, dict], key: str) -> Comparisons:
    """The comparisons whose reason is None; the others are counted in the accounts of their sources."""
    for view, first, end in zip(comparisons.views, comparisons.starts, comparisons.starts[1:], strict=False):
        count_dropped(accounts, Counter((view.name, reason) for reason in reasons[first:end] if reason is not None))
        account = accounts[view.name]
        log.info("%s: %d used after %s, dropped %s", view.name, account["used"], key, in_words(account["dropped"]))
    kept = comparisons.take(np.equal(reasons, None))
    if not len(kept):
        raise DataError(
            f"{key}: expected comparisons to be left; found none of {counted(len(comparisons), 'comparison')}; the counts above say why "
            f"they went: correct {key}, or train on other data"
        )
    return kept


def _split(
    comparisons: Comparisons, given: Comparisons, settings: DataSettings, seed: int
) -> tuple[Comparisons, Comparisons, dict[str, Any]]:
    """(training, validation comparisons, what the manifest says of them); ``given`` are those of `data.val`."""
    if settings.val is not None:
        train, val = comparisons, named(given)
        groups = val.groups()
        split = {"by": "data.val", "groups_also_in_train": _count_shared(train.groups(), groups)}
        return train, val, split | {"val_groups": _names(groups)}
    limits = {"val_fraction": settings.val_fraction, "val_max": settings.val_max}
    seed = seed if settings.seed is None else settings.seed
    # Groups are the content of pictures, which must be read for them where they were not prepared: only where anything is set apart.
    groups = comparisons.groups() if all(limits.values()) else np.zeros(len(comparisons), "S32")
    apart = set_apart(groups, fraction=settings.val_fraction, maximum=settings.val_max, seed=seed)
    split = {"by": "group", "seed": seed} | limits | {"val_groups": _names(groups[apart])}
    return comparisons.take(~apart), comparisons.take(apart), split


def _names(groups: np.ndarray) -> list[str]:
    return sorted({name.decode() for name in groups.tolist()})


def _count_shared(train: np.ndarray, val: np.ndarray) -> int:
    shared = len(np.intersect1d(train, val))
    if shared:
        log.warning("%d prompts of data.val are also in the training data: validation will look better than it is", shared)
    return shared

"""A config of data sources -> training and validation comparisons, and the manifest that says where each row went.

What happens to a source, in this order: its recipe reads rows, `source_stream` passes the comparisons through the steps that look at
one source alone, and they are held in memory or were stored by `basereward data prepare` (`store`). Then all of them together:
`cleaning` leaves out what `data.clean` says, `overlap` looks for benchmarks, `load_data` names the rest, sets validation data apart
(`split`) and says how much of each source an epoch takes (`shares`).
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from basereward.cleaning.clean import count_dropped, reasons_to_drop
from basereward.cleaning.settings import read_settings
from basereward.comparisons import Comparisons, Listed, Part, View, named
from basereward.config import build
from basereward.errors import ConfigError, DataError, near_matches
from basereward.overlap.check import check_overlap, check_values
from basereward.problems import counted, in_words
from basereward.recipes import ON_ERROR, Reader, Recipe
from basereward.reward_files import RewardFiles, check_given, check_there
from basereward.shares import KEYS, Mixture, Share, read_share
from basereward.split import set_apart
from basereward.store.identity import folder_of, identity, may_be_prepared, store_root
from basereward.store.stored import Stored
from basereward.store.writing import is_complete

log = logging.getLogger(__name__)
SCORES = "data.text_only_scores"
CUSTOM = "basereward.data_recipes.custom.Custom"


@dataclass
class DataSettings:
    """Which data a run reads, and what it keeps apart to validate on."""

    sources: dict[str, Any] = field(default_factory=dict)
    """Name -> config node of a recipe, with `_target_`, and beside it how much of it an epoch takes: `weight`, `count` or `epochs`
    (all of it once where none is given), and `cap`. docs/data.md, "Mixtures", says what each means."""
    temperature: float | None = None
    """Makes weights of the sizes of the sources that give none of the three: size ** (1 / temperature)."""
    total: int | None = None
    """Comparisons of an epoch, all sources together."""
    path: str | None = None
    """Instead of `sources`: one file, pattern, folder or Hub dataset whose rows are records."""
    image_root: str | None = None
    """With `path`: folder that relative image paths start from."""
    keep_ties: bool = False
    """With `path`: rows whose responses are all tied are kept, for a loss that reads ties."""
    val: Any = None
    """A path or a recipe's config node to validate on; null splits the training data."""
    val_fraction: float = 0.05
    """Share of the comparisons, 0 <= x < 1, that the split sets apart; 0 for none. Without effect when `val` is given."""
    val_max: int = 1000
    """At most so many comparisons are set apart."""
    prepared: str | None = None
    """Folder of sources prepared by `basereward data prepare`; `$BASEREWARD_CACHE/prepared`, or else
    `~/.cache/basereward/prepared`, when null. A source that is complete there is not read again."""
    on_error: str = "fail"
    """fail: one error with the problems of all rows of a source. skip: rows with problems are left out and counted."""
    without_images: bool = False
    """All pictures are removed after the split: to train a text-only model on the same rows."""
    text_only_scores: Any = None
    """Output of `basereward score` with `blind=true`, or {source: output}, `val` being the source of `val`: the rewards of a
    text-only model, met by id, for a loss that needs them."""
    clean: dict[str, Any] | None = None
    """Which comparisons are left out, and why: keys of `cleaning.settings.CleanSettings`; null leaves out none."""
    overlap: str | None = "report"
    """What becomes of comparisons that stand in a benchmark of `overlap_with`: report, drop or fail; null does not look."""
    overlap_with: list[Any] = field(default_factory=list)
    """Names of conf/benchmark or conf/recipe, files of comparisons, `{recipe: <name>, path: <copy>}`, or config nodes of either."""
    overlap_pictures: bool = True
    """Also compare pictures, where a benchmark has them; every training picture is decoded once more."""
    seed: int | None = None
    """Of the split; the run's seed when null."""


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

    The split takes whole groups (same prompt and images), chosen by a hash of the seed and the prompt: the same comparisons are
    set apart whatever the order of rows and sources, and wherever the files lie.

    Args:
        data_cfg: keys of `DataSettings`.
        seed: of the run.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
        DataError: rows with problems (`on_error: fail`), or no data.
    """
    settings = _settings(data_cfg)
    sources = _nodes(settings)
    mixture = _mixture(sources, settings)
    comparisons, accounts = _read_all(sources, settings, "data.sources")
    given, val_accounts = (
        _read_all({"val": _val_node(settings)}, settings, "data") if settings.val is not None else (Comparisons([]), {})
    )
    # Named before any is left out: files of rewards meet the same comparisons whatever cleaning takes.
    comparisons = _cleaned(named(comparisons), accounts, settings)
    comparisons, overlap = _compared(comparisons, given, accounts, settings)
    split_seed = seed if settings.seed is None else settings.seed
    if settings.val is None:
        limits = {"fraction": settings.val_fraction, "maximum": settings.val_max, "seed": split_seed}
        apart = set_apart(comparisons.groups(), comparisons.split_keys(), **limits)
        train, val = comparisons.take(~apart), comparisons.take(apart)
        split = {"by": "group", "seed": split_seed, "val_fraction": settings.val_fraction, "val_max": settings.val_max}
    else:
        train, val = comparisons, named(given)
        split = {"by": "data.val", "groups_also_in_train": _count_shared(train, val)}
    renamed = sum(len(view.names) for view in comparisons.views)
    split |= {"train": len(train), "val": len(val), "val_ids": [item.id for item in val], "ids_made_unique": renamed}
    split["val_groups"] = sorted({item.group for item in val})
    if settings.text_only_scores is not None:
        rewards = RewardFiles(settings.text_only_scores, (*accounts, *val_accounts), SCORES)
        train, val = train.map(rewards.attach), val.map(rewards.attach)
    if settings.without_images:
        train, val = train.without_images(), val.without_images()
    return DataBundle(train, val, {"sources": accounts, "val_sources": val_accounts, "split": split, "overlap": overlap}, mixture)


def check_sources(data_cfg: Mapping) -> None:
    """Refuses values that cannot be used and files that are not there, before anything is read.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
        DataError: no files where a source says.
    """
    for recipe in source_recipes(data_cfg).values():
        missing = [file for file in recipe.files() if not file.exists()]
        if missing:
            raise DataError(f"expected data at {missing[0]}; found nothing to read; correct the path of {recipe.source}")
    check_there(data_cfg.get("text_only_scores"), SCORES)


def source_recipes(data_cfg: Mapping) -> dict[str, Recipe]:
    """Name -> recipe of each source, and `data.val` -> that of the validation data where it is given; nothing is read.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
    """
    return {source.key.removeprefix("data.sources."): source.recipe for source in make_sources(data_cfg)}


def source_stream(recipe: Recipe, settings: DataSettings, *, progress: bool = True) -> Reader:
    """The comparisons of one source, one after another, and the account of its rows: every way to read a source comes through here.

    A step that looks at one source alone stands here, and its settings in `steps`. It leaves comparisons out, and counts them by
    reason in `manifest["dropped"]`, so that `rows_read` stays `used` plus all that was dropped.
    """
    return Reader(recipe, on_error=settings.on_error, progress=progress)


def steps(settings: DataSettings) -> dict[str, Any]:
    """What a source's comparisons depend on beside its recipe; another value makes another prepared folder."""
    return {"on_error": settings.on_error}


@dataclass(frozen=True)
class Source:
    """One source of a config: its recipe, and the folder that it is prepared in, or would be."""

    name: str
    key: str
    """Dotted, in the config."""
    recipe: Recipe
    node: Mapping[str, Any]
    settings: DataSettings

    @property
    def root(self) -> Path:
        """Where prepared sources lie."""
        return store_root(self.settings.prepared)

    def facts(self) -> dict[str, Any]:
        """What its comparisons depend on; reads its files for their hashes where they are not known."""
        return identity(self.recipe, self.node, steps(self.settings), self.root)

    def part(self) -> tuple[Part, dict[str, Any]]:
        """Its comparisons, from the prepared folder where there is a complete one, and the account of its rows."""
        if may_be_prepared(self.name, self.root) and is_complete(folder := folder_of(self.facts(), self.root)):
            stored = Stored(folder, self.name)
            log.info("%s: %s", self.name, f"{counted(len(stored), 'prepared comparison')} in {folder}")
            return stored, stored.manifest["account"]
        stream = source_stream(self.recipe, self.settings)
        part = Listed(stream)
        m = stream.manifest or {}
        dropped = in_words(m["dropped"])
        log.info("%s: %d rows read, %d used, dropped %s; not prepared", self.name, m["rows_read"], m["used"], dropped)
        return part, m


def make_sources(data_cfg: Mapping) -> list[Source]:
    """All sources of a config, `data.val` last where it has one; nothing is read.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
    """
    settings = _settings(data_cfg)
    nodes = {f"data.sources.{name}": (name, node) for name, node in _nodes(settings).items()}
    nodes |= {"data.val": ("val", _val_node(settings))} if settings.val is not None else {}
    _mixture(_nodes(settings), settings)
    return [_source(name, node, key, settings) for key, (name, node) in nodes.items()]


def _settings(cfg: Mapping) -> DataSettings:
    known = [item.name for item in fields(DataSettings)]
    for key in cfg:
        if key not in known:
            raise ConfigError(f"data.{key}: no such key; {near_matches(str(key), known)}")
    settings = DataSettings(**cfg)
    if bool(settings.sources) == (settings.path is not None):
        found = "both" if settings.path else "neither"
        raise ConfigError(
            f"data: expected data.path (one file) or data.sources (recipes by name); found {found}; keep one of them"
        )
    if settings.image_root is not None and settings.path is None:
        raise ConfigError("data.image_root: expected only beside data.path; found data.sources; set image_root in each source")
    if settings.keep_ties and settings.path is None:
        raise ConfigError("data.keep_ties: expected only beside data.path; found data.sources; set keep_ties in each source")
    if not isinstance(settings.val_fraction, int | float) or not 0 <= settings.val_fraction < 1:
        raise ConfigError(
            f"data.val_fraction: expected 0 <= x < 1; found {settings.val_fraction!r}; 0.05 sets one row in 20 apart"
        )
    if settings.on_error not in ON_ERROR:
        known = near_matches(str(settings.on_error), ON_ERROR)
        raise ConfigError(f"data.on_error: expected {' or '.join(ON_ERROR)}; found {settings.on_error!r}; {known}")
    if not isinstance(settings.without_images, bool):
        raise ConfigError(f"data.without_images: expected true or false; found {settings.without_images!r}; correct it")
    check_given(settings.text_only_scores, SCORES)
    read_settings(settings.clean)
    check_values(settings.overlap, settings.overlap_with)
    if not isinstance(settings.val_max, int) or settings.val_max < 0:
        raise ConfigError(f"data.val_max: expected a whole number from 0; found {settings.val_max!r}; correct it")
    return settings


def _custom(path: str | None, settings: DataSettings) -> dict:
    return {"_target_": CUSTOM, "path": path, "image_root": settings.image_root, "keep_ties": settings.keep_ties}


def _mixture(sources: Mapping, settings: DataSettings) -> Mixture:
    shares = {
        name: read_share(node, f"data.sources.{name}") if isinstance(node, Mapping) else Share() for name, node in sources.items()
    }
    return Mixture(shares, settings.temperature, settings.total)


def _read_all(nodes: Mapping, settings: DataSettings, key: str) -> tuple[Comparisons, dict]:
    """All sources are built before the first is read: a mistyped key of the last one must not cost reading the others."""
    sources = [_source(name, node, f"{key}.{name}", settings) for name, node in nodes.items()]
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
        comparisons, val, mode=settings.overlap, entries=settings.overlap_with, by_picture=settings.overlap_pictures
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


def _source(name: str, node: object, key: str, settings: DataSettings) -> Source:
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}: expected a recipe with _target_; found {node!r}; see conf/recipe")
    node = {name: value for name, value in node.items() if name not in KEYS}
    return Source(name, key, build(node, key, source=name), node, settings)


def _nodes(settings: DataSettings) -> dict[str, Any]:
    return settings.sources or {"custom": _custom(settings.path, settings)}


def _val_node(settings: DataSettings) -> object:
    is_path = isinstance(settings.val, str | os.PathLike)
    return _custom(os.fspath(settings.val), settings) if is_path else settings.val


def _count_shared(train: Comparisons, val: Comparisons) -> int:
    shared = len(np.intersect1d(train.groups(), val.groups()))
    if shared:
        log.warning("%d prompts of data.val are also in the training data: validation will look better than it is", shared)
    return shared

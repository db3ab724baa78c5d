"""A config of data sources -> training and validation comparisons, and the manifest that says where each row went.

What happens to a source, in this order: its recipe reads rows (`recipes.read`), `source_data` passes the comparisons through the
steps that look at one source alone. Then all of them together: `cleaning` leaves out what `data.clean` says, `load_data` numbers
the rest, sets validation data apart (`split`) and says how much of each source an epoch takes (`shares`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from basereward.cleaning.clean import clean
from basereward.cleaning.settings import read_settings
from basereward.config import build
from basereward.errors import ConfigError, DataError, near_matches
from basereward.problems import counted, in_words
from basereward.recipes import ON_ERROR, Recipe, SourceData, read
from basereward.records import Comparison
from basereward.shares import KEYS, Mixture, Share, read_share
from basereward.split import make_ids_unique, split_by_group

log = logging.getLogger(__name__)
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
    on_error: str = "fail"
    """fail: one error with the problems of all rows of a source. skip: rows with problems are left out and counted."""
    clean: dict[str, Any] | None = None
    """Which comparisons are left out, and why: keys of `cleaning.settings.CleanSettings`; null leaves out none."""
    seed: int | None = None
    """Of the split; the run's seed when null."""


@dataclass
class DataBundle:
    """What a run trains and validates on."""

    train: list[Comparison]
    val: list[Comparison]
    manifest: dict
    """Ready for JSON: `sources` (by name), `val_sources`, and `split` with sizes, seed and the ids set apart."""
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
    sources = settings.sources or {"custom": _custom(settings.path, settings)}
    mixture = _mixture(sources, settings)
    comparisons, accounts = _read_all(sources, settings, "data.sources")
    comparisons = _cleaned(comparisons, accounts, settings)
    comparisons, renamed = make_ids_unique(comparisons)
    split_seed = seed if settings.seed is None else settings.seed
    if settings.val is None:
        train, val = split_by_group(comparisons, fraction=settings.val_fraction, maximum=settings.val_max, seed=split_seed)
        split = {"by": "group", "seed": split_seed, "val_fraction": settings.val_fraction, "val_max": settings.val_max}
        val_accounts = {}
    else:
        train, (val, val_accounts) = comparisons, _read_val(settings)
        split = {"by": "data.val", "groups_also_in_train": _count_shared(train, val)}
    split |= {"train": len(train), "val": len(val), "val_ids": [item.id for item in val], "ids_made_unique": renamed}
    split["val_groups"] = sorted({item.group for item in val})
    return DataBundle(train, val, {"sources": accounts, "val_sources": val_accounts, "split": split}, mixture)


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


def source_recipes(data_cfg: Mapping) -> dict[str, Recipe]:
    """Name -> recipe of each source, and `data.val` -> that of the validation data where it is given; nothing is read.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
    """
    settings = _settings(data_cfg)
    nodes = settings.sources or {"custom": _custom(settings.path, settings)}
    _mixture(nodes, settings)
    recipes = {name: _recipe(node, f"data.sources.{name}", name) for name, node in nodes.items()}
    return recipes | ({"data.val": _recipe(_val_node(settings), "data.val", "val")} if settings.val is not None else {})


def source_data(recipe: Recipe, settings: DataSettings) -> SourceData:
    """The comparisons of one source, and the account of its rows: every way to read a source comes through here.

    A step that looks at one source alone stands here. It leaves comparisons out, and counts them by reason in
    `manifest["dropped"]`, so that `rows_read` stays `used` plus all that was dropped.
    """
    return read(recipe, on_error=settings.on_error)


def _cleaned(comparisons: list[Comparison], accounts: dict[str, dict], settings: DataSettings) -> list[Comparison]:
    """What stays of all sources together: a comparison may repeat or deny one of another source."""
    wanted = read_settings(settings.clean)
    if wanted is None:
        return comparisons
    kept = clean(comparisons, wanted, accounts)
    for name, account in accounts.items():
        log.info("%s: %d used after cleaning, dropped %s", name, account["used"], in_words(account["dropped"]))
    if not kept:
        raise DataError(
            f"data.clean: expected comparisons to be left; found none of {counted(len(comparisons), 'comparison')}; the counts above say "
            "why they went: correct data.clean"
        )
    return kept


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
    read_settings(settings.clean)
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


def _read_all(sources: Mapping, settings: DataSettings, key: str) -> tuple[list[Comparison], dict]:
    """All sources are built before the first is read: a mistyped key of the last one must not cost reading the others."""
    recipes = {name: _recipe(node, f"{key}.{name}", name) for name, node in sources.items()}
    comparisons, accounts = [], {}
    for name, recipe in recipes.items():
        data = source_data(recipe, settings)
        comparisons += data.comparisons
        accounts[name] = data.manifest
        log.info(
            "%s: %d rows read, %d used, dropped %s",
            name,
            data.manifest["rows_read"],
            data.manifest["used"],
            in_words(data.manifest["dropped"]),
        )
    return comparisons, accounts


def _recipe(node: object, key: str, name: str) -> Recipe:
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}: expected a recipe with _target_; found {node!r}; see conf/recipe")
    return build({name: value for name, value in node.items() if name not in KEYS}, key, source=name)


def _read_val(settings: DataSettings) -> tuple[list[Comparison], dict]:
    val, accounts = _read_all({"val": _val_node(settings)}, settings, "data")
    return make_ids_unique(val)[0], accounts


def _val_node(settings: DataSettings) -> object:
    is_path = isinstance(settings.val, str | os.PathLike)
    return _custom(os.fspath(settings.val), settings) if is_path else settings.val


def _count_shared(train: Iterable[Comparison], val: Iterable[Comparison]) -> int:
    shared = {item.group for item in train} & {item.group for item in val}
    if shared:
        log.warning("%d prompts of data.val are also in the training data: validation will look better than it is", len(shared))
    return len(shared)

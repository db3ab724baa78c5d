"""The `data` section of a config -> checked settings, and the config node of each source's recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from basereward.accounts import ON_ERROR
from basereward.cleaning.settings import read_settings
from basereward.errors import ConfigError, near_matches
from basereward.overlap.check import check_values
from basereward.reward_files import check_given

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
    """Also compare pictures, where a benchmark has them; every training picture is decoded once more, or once for all starts where
    its source is prepared."""
    seed: int | None = None
    """Of the split; the run's seed when null."""


def read_data_settings(cfg: Mapping) -> DataSettings:
    """The settings that the `data` section of a config holds.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
    """
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


def source_nodes(settings: DataSettings) -> dict[str, Any]:
    """Name -> config node of each source to train on; `custom` is that of `data.path`."""
    return settings.sources or {"custom": custom_node(settings.path, settings)}


def val_node(settings: DataSettings) -> object:
    """The config node of `data.val`; what stands there when it is none."""
    is_path = isinstance(settings.val, str | os.PathLike)
    return custom_node(os.fspath(settings.val), settings) if is_path else settings.val


def custom_node(path: str | None, settings: DataSettings) -> dict:
    """The config node that reads a path's rows as they stand."""
    return {"_target_": CUSTOM, "path": path, "image_root": settings.image_root, "keep_ties": settings.keep_ties}

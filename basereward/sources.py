"""The sources of a data config: the recipe of each, its comparisons as they are read or were prepared, and its share of an epoch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from basereward.accounts import Reader
from basereward.comparisons import Listed, Part
from basereward.config import build
from basereward.data_settings import SCORES, DataSettings, read_data_settings, source_nodes, val_node
from basereward.errors import ConfigError, DataError
from basereward.problems import counted, in_words
from basereward.recipes import Recipe
from basereward.reward_files import check_there
from basereward.shares import KEYS, Mixture, Share, read_share
from basereward.store.command import prepare_command
from basereward.store.identity import folder_of, identity, may_be_prepared, store_root
from basereward.store.pictures import check_pictures
from basereward.store.stored import Stored, open_prepared

log = logging.getLogger(__name__)


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
        if (stored := self._prepared()) is not None:
            log.info("%s: %s", self.name, f"{counted(len(stored), 'prepared comparison')} in {stored.folder}")
            return stored, stored.manifest["account"]
        stream = source_stream(self.recipe, self.settings)
        part = Listed(stream)
        m = stream.manifest or {}
        dropped = in_words(m["dropped"])
        log.info("%s: %d rows read, %d used, dropped %s; not prepared", self.name, m["rows_read"], m["used"], dropped)
        return part, m

    def _prepared(self) -> Stored | None:
        if not may_be_prepared(self.name, self.root):
            return None
        command = prepare_command(self.settings.path, self.settings.prepared)
        stored = open_prepared(folder_of(self.facts(), self.root), self.name, command)
        if stored is not None and not self.settings.without_images:
            check_pictures(stored)
        return stored


def make_sources(data_cfg: Mapping) -> list[Source]:
    """All sources of a config, `data.val` last where it has one; nothing is read.

    Raises:
        ConfigError: an unknown key, or a value that cannot be used.
    """
    settings = read_data_settings(data_cfg)
    nodes = {f"data.sources.{name}": (name, node) for name, node in source_nodes(settings).items()}
    nodes |= {"data.val": ("val", val_node(settings))} if settings.val is not None else {}
    epoch_shares(source_nodes(settings), settings)
    return [make_source(name, node, key, settings) for key, (name, node) in nodes.items()]


def make_source(name: str, node: object, key: str, settings: DataSettings) -> Source:
    """One source of its config node, without the keys that say how much of it an epoch takes.

    Raises:
        ConfigError: it is no recipe's node, or a value cannot be used; with the dotted key.
    """
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}: expected a recipe with _target_; found {node!r}; see conf/recipe")
    node = {name: value for name, value in node.items() if name not in KEYS}
    return Source(name, key, build(node, key, source=name), node, settings)


def epoch_shares(sources: Mapping, settings: DataSettings) -> Mixture:
    """How much of each source an epoch takes.

    Raises:
        ConfigError: a value that cannot be used, with the dotted key.
    """
    shares = {
        name: read_share(node, f"data.sources.{name}") if isinstance(node, Mapping) else Share() for name, node in sources.items()
    }
    return Mixture(shares, settings.temperature, settings.total)

"""What ``basereward score`` scores: the rows of one file, or the comparisons of a data config."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from basereward.errors import ConfigError, DataError
from basereward.mixture import load_data
from basereward.problems import Problem, RowError
from basereward.reading import hash_files
from basereward.recipes import Recipe
from basereward.records import Comparison
from basereward.settings import ScoreSettings
from basereward.sources import source_recipes

# Rows that say nothing about which response is better can still be scored.
NO_PREFERENCE = {"all responses tied", "same text, different rank"}
_FILLER = "\N{REPLACEMENT CHARACTER}"

Item = tuple[str, Comparison | DataError]
"""An id, and what is scored under it, or why it cannot be."""


class Input(Protocol):
    """What is scored, in an order that does not change."""

    name: str

    def files(self) -> list[Path]:
        """The files that are read; some may be missing."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the items depend on, for JSON."""
        ...

    def __len__(self) -> int: ...

    def items(self, start: int) -> Iterator[Item]:
        """The items from number ``start`` on."""
        ...


def make_input(settings: ScoreSettings) -> Input:
    """What the settings name; nothing is read.

    Raises:
        ConfigError: neither a file nor data, or both.
    """
    if (settings.input is None) == (settings.data is None):
        found = "neither" if settings.input is None else "both"
        raise ConfigError(f"input, data: expected input=<file> or data=<name of a data config>; found {found}; keep one of them")
    if settings.data is not None and settings.image_root is not None:
        raise ConfigError(
            "image_root: expected only beside input=; found data=; set data.image_root, or image_root in each source"
        )
    return RowsOfFile(settings.input, settings.image_root) if settings.data is None else DataOfRun(settings.data, settings.run)


class RowsOfFile:
    """The rows of one file, in any spelling; images are looked at when they are scored, not before."""

    def __init__(self, path: str | None, image_root: str | None):
        self.name, self.image_root = str(path), image_root
        self.recipe = Recipe(path, image_root=image_root, check_images=False)

    def files(self) -> list[Path]:
        """The file, or those that a pattern or folder means."""
        return self.recipe.files()

    def facts(self) -> dict[str, Any]:
        """The files and their bytes."""
        files = self.files()
        return {"input": list(map(str, files)) or self.name, "input_sha256": hash_files(files), "image_root": self.image_root}

    def __len__(self) -> int:
        return sum(1 for _ in self.recipe.rows())

    def items(self, start: int) -> Iterator[Item]:
        """One for each row; a row that cannot be read keeps its place."""
        for where, row in itertools.islice(self.recipe.rows(), start, None):
            item = read_row(self.recipe, row, where)
            yield item.id if isinstance(item, Comparison) else _id(row, where), item


class DataOfRun:
    """The comparisons of a data config as a training run has them: ids made unique, cleaned, then those of validation."""

    def __init__(self, data: Mapping[str, Any], run: Mapping[str, Any]):
        self.data, self.seed = data, run.get("seed", 0)
        self.name = data["path"] if data.get("path") else ", ".join(data.get("sources") or ())
        self._bundle = None

    def files(self) -> list[Path]:
        """Those of all sources."""
        return [file for recipe in source_recipes(self.data).values() for file in recipe.files()]

    def facts(self) -> dict[str, Any]:
        """The config and the bytes of each source's files."""
        accounts = self.bundle.manifest["sources"] | self.bundle.manifest["val_sources"]
        hashes = {name: account["sha256"] for name, account in accounts.items()}
        return {"data": self.data, "seed": self.seed, "input_sha256": hashes}

    @property
    def bundle(self):
        """Read when it is asked for."""
        if self._bundle is None:
            self._bundle = load_data(self.data, seed=self.seed)
        return self._bundle

    def __len__(self) -> int:
        return len(self.bundle.train) + len(self.bundle.val)

    def items(self, start: int) -> Iterator[Item]:
        """Training comparisons, then those set apart or given to validate on."""
        both = itertools.chain(self.bundle.train, self.bundle.val)
        return ((item.id, item) for item in itertools.islice(both, start, None))


def read_row(recipe: Recipe, row: Mapping | Problem, where: str) -> Comparison | DataError:
    """A row in any spelling; one with ``responses`` needs neither ranks nor scores to be scored."""
    if isinstance(row, Problem):
        return RowError([row])
    try:
        if isinstance(row, Mapping) and isinstance(row.get("responses"), list) and not _has_order(row):
            return _without_preferences(recipe, row, where)
        return recipe.comparison(row, where)
    except RowError as error:
        if {problem.kind for problem in error.problems} <= NO_PREFERENCE and "responses" in row:
            try:
                return _without_preferences(recipe, row, where)
            except DataError as other:
                return other
        return error
    except DataError as error:
        return error


def _has_order(row: Mapping) -> bool:
    return row.get("ranks") is not None or row.get("scores") is not None


def _without_preferences(recipe: Recipe, row: Mapping, where: str) -> Comparison:
    """Reads the row as one in which a further response is preferred to all, and takes that response away again."""
    responses = row["responses"]
    given = {key: value for key, value in row.items() if key != "ranks"}
    given |= {"responses": [*responses, _FILLER], "scores": [0] * len(responses) + [1]}
    comparison = recipe.comparison(given, where)
    return dataclasses.replace(comparison, responses=comparison.responses[:-1], pairs=(), ranks=None, scores=None)


def _id(row: Mapping | Problem, where: str) -> str:
    found = row.id if isinstance(row, Problem) else row.get("id") if isinstance(row, Mapping) else None
    return str(found) if found not in (None, "") else os.path.basename(where)

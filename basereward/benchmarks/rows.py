"""Public benchmarks: items that a recipe of `conf/recipe` reads, from the Hub or from a copy."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from basereward.accounts import read
from basereward.benchmarks.base import Benchmark
from basereward.config import build
from basereward.errors import DataError
from basereward.named_recipes import recipe_node
from basereward.recipes import Recipe
from basereward.records import Comparison


class PublicBenchmark(Benchmark):
    """Reads its items with the recipe of its name.

    No picture is looked at here: one that is missing or broken is a failure of its item when that is scored, and no item is left out.

    Args:
        path: a copy of the benchmark's repository, or a file of its rows; None reads it from the Hub.
        image_root: folder or archive that relative image paths start from.
        text_only: leaves the images of all items out.
        recipe: more keys of the recipe, such as `{split: gpt}`.
        expected, editions, verified_on: as in `Benchmark`.
    """

    name: ClassVar[str]
    how_to_get: ClassVar[str | None] = None
    """What to do for a copy, where no repository of the Hub holds the rows; {key} is filled in."""

    def __init__(
        self, path: str | None = None, *, image_root: str | None = None, text_only: bool = False, recipe: Mapping | None = None,
        expected: Mapping[str, int | None] | None = None, editions: Mapping[str, Mapping[str, int | None]] | None = None,
        verified_on: str | None = None,
    ):  # fmt: skip
        self.expected, self.editions, self.verified_on = expected or {}, editions or {}, verified_on
        self.recipe_name, self.version = self.name, "none"
        if path is None and self.how_to_get:
            return  # of a group it may be left out, so that is said when the rows are asked for
        given = {"path": path, "image_root": image_root, "text_only": text_only or None, "on_missing_image": "keep"}
        node = {"recipe": self.name, **(recipe or {}), **{key: value for key, value in given.items() if value is not None}}
        self.recipe: Recipe | None = build(recipe_node(node, "benchmark.recipe"), key="benchmark.recipe")
        self.version = self.recipe.path

    def comparisons(self) -> list[Comparison]:
        """All items; a bad row is an error, never left out in silence."""
        if self.recipe is None:
            raise DataError(f"expected {self.key}.path to name a copy; found none; {self.how_to_get.format(key=self.key)}")
        data = read(self.recipe, may_skip=False)
        self.version, self.notes = version_of(data.manifest), notes_of(self.recipe)
        return with_own_ids(data.comparisons)

    def words(self) -> str:
        """With the copy, where it is one."""
        is_copy = self.recipe is not None and not self.recipe.data.is_hub
        return super().words() + (f" benchmark.path={self.recipe.path}" if is_copy else "")


def version_of(manifest: Mapping[str, Any]) -> str:
    """The hash of the files, or the place on the Hub."""
    if manifest["sha256"]:
        return f"sha256:{manifest['sha256']}"
    return " at ".join(filter(None, (manifest["path"], manifest["commit_read"])))


def notes_of(recipe: Recipe) -> list[str]:
    """What its options make of the numbers."""
    return ["read without the pictures (text_only): not to be compared with results that saw them"] if recipe.text_only else []


def with_own_ids(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same items; where several have one id, a number behind it tells them apart, in their order.

    >>> with_own_ids([])
    []
    """
    times, seen, found = Counter(item.id for item in comparisons), Counter(), []
    for item in comparisons:
        seen[item.id] += 1
        found.append(dataclasses.replace(item, id=f"{item.id}#{seen[item.id]}") if times[item.id] > 1 else item)
    return found

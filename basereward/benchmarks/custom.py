"""Any file of comparisons as a benchmark, by category where its rows have one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from basereward.accounts import read
from basereward.benchmarks.base import Benchmark
from basereward.benchmarks.rows import with_own_ids
from basereward.config import build
from basereward.data_settings import CUSTOM
from basereward.errors import ConfigError
from basereward.named_recipes import recipe_node
from basereward.recipes import Recipe
from basereward.records import Comparison


class CustomBenchmark(Benchmark):
    """Args:
    path: a file in any spelling of docs/data.md.
    image_root: folder that relative image paths start from; the file's own when ``None``.
    name: of the results' folder; the file's name without ending when ``None``.
    recipe: how to read files in another shape: a name of ``conf/recipe``; ``{recipe: <name>, text_only: true}``, with keys of the
        recipe; or the node of a recipe of one's own (``_target_``), with the same ``path``.
    """

    def __init__(
        self, path: str, *, image_root: str | None = None, name: str | None = None, recipe: str | Mapping | Recipe | None = None
    ):
        self.recipe = recipe if isinstance(recipe, Recipe) else _recipe(recipe, path, image_root)
        if isinstance(recipe, Recipe) and recipe.path != os.path.expanduser(path):
            raise ConfigError(
                f"benchmark.recipe: expected a recipe that reads benchmark.path={path}; found one that reads {recipe.path}; "
                "give it the same path, or write the recipe's name: benchmark.recipe=<name>"
            )
        self.name = name or Path(path).name.split(".")[0]
        self.version = path

    def comparisons(self) -> list[Comparison]:
        """All rows; a bad row is an error, never left out in silence."""
        data = read(self.recipe, on_error="fail")
        self.version = f"sha256:{data.manifest['sha256']}" if data.manifest.get("sha256") else self.version
        return with_own_ids(data.comparisons)


def _recipe(given: str | Mapping | None, path: str, image_root: str | None) -> Recipe:
    node = {"_target_": CUSTOM} if given is None else {"recipe": given} if isinstance(given, str) else dict(given)
    node |= {"path": path, "source": "custom"} | ({} if image_root is None else {"image_root": image_root})
    return build(node if "_target_" in node else recipe_node(node, "benchmark.recipe"), key="benchmark.recipe")

"""Any file of comparisons as a benchmark, by category where its rows have one."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from basereward.accounts import read
from basereward.benchmarks.base import Benchmark
from basereward.benchmarks.rows import notes_of, with_own_ids
from basereward.config import build
from basereward.data_settings import CUSTOM
from basereward.errors import ConfigError
from basereward.named_recipes import recipe_node
from basereward.problems import in_words
from basereward.recipes import Recipe
from basereward.records import Comparison

SHOWN_COPIES = 5
CUSTOM_NAME = "custom"


class CustomBenchmark(Benchmark):
    """Args:
    path: a file in any spelling of docs/data.md.
    image_root: folder that relative image paths start from; the file's own when ``None``.
    name: of the results' folder; that of the file, or of the folder, without ending when ``None``.
    recipe: how to read files in another shape: a name of ``conf/recipe``; ``{recipe: <name>, text_only: true}``, with keys of the
        recipe; or the node of a recipe of one's own (``_target_``), with the same ``path``.

    No picture is looked at when the file is read: one that is missing or broken is a failure of its item when that is scored, as in
    `PublicBenchmark`, unless the keys of the recipe say what becomes of it (``on_missing_image``).
    """

    kind = CUSTOM_NAME

    def __init__(
        self, path: str, *, image_root: str | None = None, name: str | None = None, recipe: str | Mapping | Recipe | None = None
    ):
        self.recipe = recipe if isinstance(recipe, Recipe) else _recipe(recipe, path, image_root)
        if not (isinstance(recipe, Mapping) and "on_missing_image" in recipe):
            self.recipe.keep_missing_images()
        if isinstance(recipe, Recipe) and recipe.path != os.path.expanduser(path):
            raise ConfigError(
                f"benchmark.recipe: expected a recipe that reads benchmark.path={path}; found one that reads {recipe.path}; "
                "give it the same path, or write the recipe's name: benchmark.recipe=<name>"
            )
        self.name = name or name_of(path)
        self.own_name = name
        self.version = path

    def comparisons(self) -> list[Comparison]:
        """All rows; a bad row is an error, never left out in silence, and `notes` tells of rows that are there twice."""
        data = read(self.recipe, may_skip=False)
        self.version = f"sha256:{data.manifest['sha256']}" if data.manifest.get("sha256") else self.version
        comparisons = with_own_ids(data.comparisons)
        dropped = data.manifest["dropped"]
        self.notes = notes_of(self.recipe) + ([f"left out by the recipe: {in_words(dropped)}"] if dropped else [])
        self.notes += copies_in_words(comparisons)
        return comparisons

    def words(self) -> str:
        """With the file, and the name where one was given; keys of the recipe are the reader's to repeat."""
        name = f" benchmark.name={self.own_name}" if self.own_name else ""
        return f"benchmark={self.kind} benchmark.path={self.recipe.path}{name}"


def name_of(path: str) -> str:
    """The last part of a path that can name a folder, without its ending: not `.`, nor a pattern.

    >>> name_of("data/held_out.jsonl.gz"), name_of("data/held_out/*.jsonl"), name_of("/")
    ('held_out', 'held_out', 'custom')
    """
    stems = (part.split(".")[0] for part in reversed(Path(os.path.abspath(os.path.expanduser(path))).parts))
    return next((stem for stem in stems if stem and not set(stem) & set("*?[/")), CUSTOM_NAME)


def copies_in_words(comparisons: Sequence[Comparison]) -> list[str]:
    """A sentence about items that are the same but for their ids: prompt, pictures, responses and which of them is better."""
    alike: dict[tuple, list[str]] = defaultdict(list)
    for item in comparisons:
        pairs = frozenset((item.responses[pair.better], item.responses[pair.worse]) for pair in item.pairs)
        alike[item.group, tuple(sorted(item.responses)), pairs].append(item.id)
    found = [" = ".join(ids) for ids in alike.values() if len(ids) > 1]
    if not found:
        return []
    more = f"; and {len(found) - SHOWN_COPIES} more" if len(found) > SHOWN_COPIES else ""
    times = sum(text.count(" = ") for text in found)
    what = "same prompt, pictures, responses and label"
    return [f"copies of another item ({what}), counted like any other: {times:,}; {'; '.join(found[:SHOWN_COPIES])}{more}"]


def _recipe(given: str | Mapping | None, path: str, image_root: str | None) -> Recipe:
    node = {"_target_": CUSTOM} if given is None else {"recipe": given} if isinstance(given, str) else dict(given)
    node |= {"path": path, "source": "custom"} | ({} if image_root is None else {"image_root": image_root})
    return build(node if "_target_" in node else recipe_node(node, "benchmark.recipe"), key="benchmark.recipe")

"""`data.overlap_with` -> benchmarks, read: names of `conf/benchmark` and `conf/recipe`, files, and config nodes of either kind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basereward.accounts import read
from basereward.compose import compose
from basereward.config import build
from basereward.config_folders import options
from basereward.errors import ConfigError, DataError, MissingDependency, near_matches
from basereward.named_recipes import recipe_names, recipe_node
from basereward.overlap.keeping import place_of_items, place_of_recipe
from basereward.overlap.known import Known
from basereward.reading import find_files
from basereward.recipes import Recipe
from basereward.records import Comparison, without_images
from basereward.settings import EvaluateSettings

CUSTOM = "basereward.data_recipes.custom.Custom"


def node_of(entry: object, key: str) -> dict[str, Any]:
    """The config node of an entry.

    Raises:
        ConfigError: neither a name nor a file that is there; with near matches.
    """
    if isinstance(entry, Mapping):
        return recipe_node(entry, key) if "recipe" in entry and "_target_" not in entry else dict(entry)
    if not isinstance(entry, str | os.PathLike):
        raise ConfigError(
            f"{key}: expected a benchmark's name, a file, {{recipe: <name>, path: <copy>}}, or a config node with _target_; "
            f"found {entry!r}; correct it"
        )
    name = os.fspath(entry)
    benchmarks = [option for option in options("benchmark") if option != "custom"]
    node = compose("evaluate", [f"benchmark={name}", "model=none"], EvaluateSettings).benchmark if name in benchmarks else None
    # A benchmark that is one dataset has its recipe's name. Its rows are read by that, whether their pictures are at hand or not.
    if name in recipe_names() and (node is None or "recipe" in node):
        return recipe_node(name, key)
    if node is not None:
        return node
    try:
        find_files(name)
    except DataError:
        known = near_matches(name, {*benchmarks, *recipe_names()})
        raise ConfigError(f"{key}: found no benchmark, no recipe and no file {name!r}; {known}, or give a path") from None
    return {"_target_": CUSTOM, "path": name}


def check_entry(entry: object, key: str) -> None:
    """Refuses what cannot be read, wherever that shows before the data are read themselves.

    Raises:
        ConfigError: no such name, file or key; or a node of something else.
    """
    made = build(node_of(entry, key), key)
    if isinstance(made, Recipe):
        try:
            made.files()
        except DataError as error:
            raise ConfigError(f"{key}: {error}") from error
    elif not callable(getattr(made, "comparisons", None)):
        raise ConfigError(
            f"{key}: expected a benchmark or a recipe; found {type(made).__name__}; see conf/benchmark and conf/recipe"
        )


def read_known(node: Mapping[str, Any], key: str, *, by_picture: bool, root: Path | None = None) -> Known:
    """A benchmark or a recipe: as it was kept, where nothing that it depends on has changed; else read, and kept.

    Args:
        root: the folder of prepared sources, in which it is kept; None keeps nothing.

    Raises:
        ConfigError, DataError, MissingDependency: it cannot be built or read.
    """
    made = build(node, key)
    recipe = made if isinstance(made, Recipe) else getattr(made, "recipe", None)
    place = place_of_recipe(recipe, node, by_picture, root) if root is not None and isinstance(recipe, Recipe) else None
    known = place.read() if place is not None else None
    if known is None:
        known = _read_recipe(node, key, by_picture) if made is recipe else _read_benchmark(made, by_picture, root)
        pictures = _pictures_of_rows(node, key, len(known.ids)) if place is not None and by_picture else []
        if place is not None and pictures is not None:
            place.keep(known, pictures)
    return known


def _read_benchmark(made: Any, by_picture: bool, root: Path | None) -> Known:
    """A benchmark's items; where no recipe reads them they are what tells it, and its pictures alone need not be looked at again."""
    comparisons = made.comparisons() if by_picture else list(map(without_images, made.comparisons()))
    name, version = made.name, made.version  # the version of a file is known once it was read
    if root is None or isinstance(getattr(made, "recipe", None), Recipe):
        return Known.of(name, version, comparisons)
    place = place_of_items(name, version, comparisons, root)
    known = place.read()
    if known is None:
        known = Known.of(name, version, comparisons)
        place.keep(known, [])
    return known


def _pictures_of_rows(node: Mapping[str, Any], key: str, num_rows: int) -> list[str] | None:
    """Paths of the pictures that the rows name, whether they are there or not; None where some rows do not say."""
    made = build(node, key)
    recipe = made if isinstance(made, Recipe) else made.recipe
    recipe.check_images = False
    try:
        items = read(recipe, on_error="skip").comparisons
    except DataError:
        return None
    return sorted({ref for item in items for ref in item.images if isinstance(ref, str)}) if len(items) == num_rows else None


def _read_recipe(node: Mapping[str, Any], key: str, by_picture: bool) -> Known:
    """Every row's texts, and its pictures where they are at hand: a benchmark's rows are often copied without them."""
    recipe = build({**node, "text_only": True}, key)
    data = read(recipe)
    shown = _with_pictures(build(node, key)) if by_picture and not node.get("text_only") else None
    comparisons = data.comparisons if shown is None else [shown.get(item.where, item) for item in data.comparisons]
    texts_alone = 0 if shown is None else sum(item.where not in shown for item in comparisons)
    name = recipe.source or os.path.basename(recipe.path).split(".")[0]
    return Known.of(name, _version(data.manifest), comparisons, texts_alone=texts_alone)


def _with_pictures(recipe: Recipe) -> dict[str, Comparison]:
    """By place the comparisons that have no picture, or all of theirs; none where no picture is there."""
    try:
        return {item.where: item for item in read(recipe, on_error="skip").comparisons}
    except DataError:
        return {}


def _version(manifest: Mapping[str, Any]) -> str:
    """The hash of the files, or the place on the Hub."""
    if manifest["sha256"]:
        return f"sha256:{manifest['sha256']}"
    return " at ".join(filter(None, (manifest["path"], manifest["commit_read"])))


def read_all(
    entries: Sequence[object], *, must_be_read: bool, by_picture: bool = True, root: Path | None = None
) -> tuple[list[Known], dict[str, str]]:
    """All benchmarks of the setting.

    Args:
        must_be_read: one whose data cannot be read is an error; otherwise it is not checked, and said so.
        by_picture: with their pictures.
        root: the folder of prepared sources, in which they are kept; None keeps none.

    Returns:
        The benchmarks, and by entry why one was not read.
    """
    found, unread = [], {}
    for number, entry in enumerate(entries):
        key = f"data.overlap_with[{number}]"
        node = node_of(entry, key)
        try:
            found.append(read_known(node, key, by_picture=by_picture, root=root))
        except (DataError, MissingDependency) as error:
            if must_be_read:
                raise
            unread[str(entry if isinstance(entry, str) else node.get("source") or node["_target_"])] = str(error).splitlines()[0]
    names = [known.name for known in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"data.overlap_with: expected benchmarks of different names; found {name!r} twice; give one of them another "
                f"source: {{recipe: ..., source: <name>}}"
            )
    return found, unread

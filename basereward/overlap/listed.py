"""`data.overlap_with` -> benchmarks, read: names of `conf/benchmark` and `conf/recipe`, files, and config nodes of either kind."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from basereward.accounts import read
from basereward.compose import compose
from basereward.config import build
from basereward.config_folders import options
from basereward.errors import ConfigError, DataError, MissingDependency, near_matches
from basereward.named_recipes import recipe_names, recipe_node
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
    if name in benchmarks:
        return compose("evaluate", [f"benchmark={name}", "model=none"], EvaluateSettings).benchmark
    if name in recipe_names():
        return recipe_node(name, key)
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


def read_known(node: Mapping[str, Any], key: str, *, by_picture: bool) -> Known:
    """A benchmark or a recipe, read.

    Raises:
        ConfigError, DataError, MissingDependency: it cannot be built or read.
    """
    made = build(node, key)
    if isinstance(made, Recipe):
        return _read_recipe(node, key, by_picture)
    comparisons = made.comparisons() if by_picture else list(map(without_images, made.comparisons()))
    return Known.of(made.name, made.version, comparisons)  # the version of a file is known once it was read


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


def read_all(entries: Sequence[object], *, must_be_read: bool, by_picture: bool = True) -> tuple[list[Known], dict[str, str]]:
    """All benchmarks of the setting.

    Args:
        must_be_read: one whose data cannot be read is an error; otherwise it is not checked, and said so.
        by_picture: with their pictures.

    Returns:
        The benchmarks, and by entry why one was not read.
    """
    found, unread = [], {}
    for number, entry in enumerate(entries):
        key = f"data.overlap_with[{number}]"
        node = node_of(entry, key)
        try:
            found.append(read_known(node, key, by_picture=by_picture))
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

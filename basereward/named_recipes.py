"""A recipe by its name in `conf/recipe`, with keys of one's own -> its config node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from basereward.compose import compose
from basereward.config_folders import options
from basereward.errors import ConfigError, near_matches
from basereward.settings import EvaluateSettings


def recipe_names() -> list[str]:
    """Names of `conf/recipe`, without `custom`: a file in our spellings is named by itself."""
    return [name for name in options("recipe") if name != "custom"]


def recipe_node(entry: str | Mapping[str, Any], key: str) -> dict[str, Any]:
    """The config node of a recipe.

    Args:
        entry: a name (`vl_rewardbench`), or the name under `recipe` and beside it keys of the recipe
            (`{"recipe": "vl_rewardbench", "path": "data.json"}`).
        key: where the entry stands in the config, for messages.

    Raises:
        ConfigError: there is no such recipe, with near matches; or it needs a key that is not given.
    """
    given = {"recipe": entry} if isinstance(entry, str) else dict(entry)
    name = given.pop("recipe")
    if name not in recipe_names():
        raise ConfigError(f"{key}: found no recipe {name!r}; {near_matches(str(name), recipe_names())}")
    words = ["model=none", "benchmark=custom", "benchmark.path=none", f"+recipe@benchmark.recipe={name}"]
    words += ["benchmark.recipe.path=given"] if "path" in given else []  # some recipes have none of their own
    try:
        node = compose("evaluate", words, EvaluateSettings).benchmark["recipe"]
    except ConfigError as error:
        raise ConfigError(f"{key}: {str(error).replace('benchmark.recipe.', '')}") from error
    return node | {"source": name} | given

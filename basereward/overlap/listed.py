"""`data.overlap_with` -> benchmarks, read: names of `conf/benchmark`, files, and config nodes of benchmarks or recipes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from basereward.compose import compose, options
from basereward.config import build
from basereward.errors import ConfigError, DataError, near_matches
from basereward.overlap.known import Known
from basereward.reading import find_files
from basereward.recipes import Recipe, read
from basereward.settings import EvaluateSettings

CUSTOM_BENCHMARK = "basereward.benchmarks.custom.CustomBenchmark"


def node_of(entry: object, key: str) -> dict[str, Any]:
    """The config node of an entry.

    Raises:
        ConfigError: neither a benchmark's name nor a file that is there; with near matches.
    """
    if isinstance(entry, Mapping):
        return dict(entry)
    if not isinstance(entry, str | os.PathLike):
        raise ConfigError(
            f"{key}: expected a benchmark's name, a file, or a config node with _target_; found {entry!r}; correct it"
        )
    name = os.fspath(entry)
    names = [option for option in options("benchmark") if option != "custom"]
    if name in names:
        return compose("evaluate", [f"benchmark={name}", "model=none"], EvaluateSettings).benchmark
    try:
        find_files(name)
    except DataError:
        raise ConfigError(
            f"{key}: found no benchmark and no file {name!r}; {near_matches(name, names)}, or give a path"
        ) from None
    return {"_target_": CUSTOM_BENCHMARK, "path": name}


def read_known(node: Mapping[str, Any], key: str) -> Known:
    """A benchmark or a recipe, read.

    Raises:
        ConfigError, DataError: it cannot be built or read.
    """
    made = build(node, key)
    if isinstance(made, Recipe):
        data = read(made)
        name = made.source or os.path.basename(made.path).split(".")[0]
        return Known.of(name, f"sha256:{data.manifest['sha256']}", data.comparisons)
    if not callable(getattr(made, "comparisons", None)):
        raise ConfigError(
            f"{key}: expected a benchmark or a recipe; found {type(made).__name__}; see conf/benchmark and conf/recipe"
        )
    comparisons = made.comparisons()
    return Known.of(made.name, made.version, comparisons)  # the version of a file is known once it was read


def read_all(entries: Sequence[object], *, must_be_read: bool) -> tuple[list[Known], dict[str, str]]:
    """All benchmarks of the setting.

    Args:
        must_be_read: one whose data cannot be read is an error; otherwise it is not checked, and said so.

    Returns:
        The benchmarks, and by entry why one was not read.
    """
    found, unread = [], {}
    for number, entry in enumerate(entries):
        key = f"data.overlap_with[{number}]"
        node = node_of(entry, key)
        try:
            found.append(read_known(node, key))
        except DataError as error:
            if must_be_read:
                raise
            unread[str(entry if isinstance(entry, str) else node.get("_target_"))] = str(error).splitlines()[0]
    names = [known.name for known in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"data.overlap_with: expected benchmarks of different names; found {name!r} twice; rename one of them"
            )
    return found, unread

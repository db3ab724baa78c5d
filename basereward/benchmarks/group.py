"""Several benchmarks under one name: `benchmark=multimodal` loads the model once and judges it on each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from basereward.benchmarks.base import Benchmark
from basereward.compose import compose
from basereward.config import build
from basereward.config_folders import options
from basereward.errors import ConfigError, near_matches
from basereward.settings import EvaluateSettings


class Group:
    """Args:
    members: name of `conf/benchmark` -> keys of that benchmark, such as `{path: copies/VL-RewardBench}`; those that are null keep
        the value of its YAML.
    """

    def __init__(self, members: Mapping[str, Mapping[str, Any] | None]):
        self.nodes = {name: _node(name, given or {}) for name, given in members.items()}


def _node(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    if name not in options("benchmark"):
        raise ConfigError(f"benchmark.members.{name}: found no such benchmark; {near_matches(name, options('benchmark'))}")
    node = compose("evaluate", [f"benchmark={name}", "model=none"], EvaluateSettings).benchmark
    return node | {key: value for key, value in given.items() if value is not None}


def members(node: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Benchmark]]:
    """The benchmarks that a config node means, each with its own node: those of a group, or the one that it is.

    Raises:
        ConfigError: it cannot be built.
    """
    made = build(node, key="benchmark")
    if not isinstance(made, Group):
        return [(node, made)]
    return [(own, _member(name, own)) for name, own in made.nodes.items()]


def _member(name: str, node: Mapping[str, Any]) -> Benchmark:
    """A benchmark that knows where it stands in the config."""
    key = f"benchmark.members.{name}"
    made = build(node, key=key)
    made.key = key
    return made

"""The config nodes of all heads, poolings and losses, as ``basereward train`` composes them: a new YAML is found by itself."""

from __future__ import annotations

from functools import cache
from typing import Any

from basereward.compose import compose
from basereward.config_folders import options
from basereward.settings import TrainSettings

HEADS, POOLINGS, LOSSES = options("head"), options("pooling"), options("loss")
NOT_OF_THE_PART = ("unit", "init")
"""Keys of a YAML that belong to the batch (a loss's) or to the start (a head's), not to the part."""


@cache
def _composed(group: str, name: str) -> dict[str, Any]:
    return getattr(compose("train", [f"{group}={name}", "run.dir=unused"], TrainSettings), group)


def node(group: str, name: str) -> dict[str, Any]:
    """Such as ``node("head", "mlp3_silu")``."""
    return {key: value for key, value in _composed(group, name).items() if key not in NOT_OF_THE_PART}

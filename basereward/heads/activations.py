"""The functions that may stand between two layers of a head."""

from __future__ import annotations

import math

from torch import nn

from basereward.errors import ConfigError, near_matches

ACTIVATIONS = {"silu": nn.SiLU, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU, "none": nn.Identity}


def activation_module(name: str) -> nn.Module:
    """The module of an activation.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"head.activation: unknown activation {name!r}; {near_matches(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def check_init_scale(init_scale: float) -> None:
    """Refuses what is no factor on a standard deviation."""
    if not 0 <= init_scale < math.inf:
        raise ConfigError(f"head.init_scale: expected 0 or a finite number above it, found {init_scale}; 1 is the default")


def check_dropout(dropout: float) -> None:
    """Refuses what is not a share below 1."""
    if not 0 <= dropout < 1:
        raise ConfigError(f"head.dropout: expected 0 <= x < 1, found {dropout}; 0 turns it off")

"""The command line of a grid: which words are the grid's own and which are those of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from basereward.compose import compose, in_quotes
from basereward.config_folders import options
from basereward.errors import ConfigError
from basereward.grids.spec import OWN, GridSpec, with_words
from basereward.grids.values import folder_name, override_key


@dataclass
class GridSettings:
    """Where a grid lies, and how patient it is."""

    dir: str | None = None
    """Folder of the grid; ``runs/<name>`` when null."""
    attempts: int = 2
    """Starts of a run that fails, in one start of the grid, before the grid goes on without it."""


@dataclass(kw_only=True)
class GridCommand:
    """A grid as a command line gives it: what every stage that takes one reads."""

    ablation: GridSpec = field(default_factory=GridSpec)
    grid: GridSettings = field(default_factory=GridSettings)
    words: list[str] = field(default_factory=list)
    """Words of training on the command line; ``read_words`` of the stage fills it."""

    @property
    def spec(self) -> GridSpec:
        """The grid with the words of the command line."""
        return with_words(self.ablation, self.words)

    @property
    def folder(self) -> Path:
        """The grid's folder."""
        return Path(self.grid.dir or f"runs/{folder_name(self.ablation.name)}")


@dataclass(kw_only=True)
class AblateSettings(GridCommand):
    """Everything ``basereward ablate`` reads."""

    launcher: dict[str, Any]
    """Config node of what starts the runs, with ``_target_``."""
    status: bool = False
    """Tell what is done and left; nothing is started."""


def arrange(words: Sequence[str]) -> list[str]:
    """The command line as Hydra composes it: the grid's own words, and those of training as one list.

    >>> arrange(["ablation=heads_tiny", "head=linear,mlp", "run.seed=range(0,3)"])
    ['ablation=heads_tiny', "words=['head=linear,mlp','run.seed=range(0,3)']"]
    """
    own = [word for word in words if override_key(word).partition(".")[0] in OWN]
    return in_one_list(own, [word for word in words if word not in own])


def in_one_list(own: Sequence[str], training: Sequence[str]) -> list[str]:
    """A stage's own words, and those of training as one value of its key ``words``."""
    return [*own, f"words=[{','.join(map(in_quotes, training))}]"] if training else list(own)


def read_grid(words: Sequence[str]) -> AblateSettings:
    """The settings of a command line such as ``["ablation=heads_tiny", "run.max_steps=50"]``.

    Raises:
        ConfigError: as ``compose``.
    """
    try:
        return compose("ablate", arrange(words), AblateSettings)
    except ConfigError as error:
        others = launchers_with(str(error).partition(":")[0])
        raise ConfigError(f"{error}{others}") from error


def launchers_with(key: str) -> str:
    """Which launchers have a key of a launcher; empty where none has, or it is no such key."""
    group, _, name = key.partition(".")
    if group != "launcher" or not name:
        return ""
    having = [each for each in options("launcher") if name in compose("ablate", [f"launcher={each}"], AblateSettings).launcher]
    return f"\n{key} is a key of {' and '.join(f'launcher={each}' for each in having)}" if having else ""

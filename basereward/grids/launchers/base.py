"""What a launcher is asked for."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from basereward.errors import ConfigError, missing_extra
from basereward.grids.process import Job
from basereward.grids.state import State


class Launcher(ABC):
    """Brings the runs of a grid to their ends.

    Attributes:
        needs: (library, extra of setup.cfg that installs it), where it needs one.
    """

    needs: ClassVar[tuple[str, str] | None] = None

    @property
    @abstractmethod
    def at_once(self) -> int:
        """Runs beside one another."""

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, State]]:
        """Starts the jobs; each comes back when its run has ended, in whatever order."""

    def check(self) -> None:
        """Refuses to begin without the library.

        Raises:
            MissingDependency: with the line that installs it.
        """
        if self.needs is None:
            return
        try:
            importlib.import_module(self.needs[0])
        except ImportError as error:
            raise missing_extra(*self.needs, f"launcher={type(self).__name__.lower()}") from error

    def script(self, jobs: Sequence[Job]) -> str:
        """What would be handed to a cluster; empty where there is none."""
        return ""


def whole_number(key: str, value: object) -> None:
    """Refuses what is neither null nor a whole number from 1.

    Raises:
        ConfigError: with the key.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigError(f"launcher.{key}: expected null or a whole number from 1; found {value!r}; correct it")

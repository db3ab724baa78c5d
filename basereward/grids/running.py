"""Brings the runs of a grid to their ends, skips those that are there, and tells of each in one line."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basereward.grids.cells import Cell
from basereward.grids.folder import Folder, is_done, is_trained
from basereward.grids.launchers.base import Launcher
from basereward.grids.process import Job
from basereward.grids.state import DONE, State
from basereward.grids.status import duration, remaining, states_of
from basereward.problems import counted
from basereward.results_folder import EVAL, RESULTS, kept


class Runs:
    """The runs of a grid, and what is asked of them.

    Args:
        wanted: benchmark -> hash of what each run is to be judged with.
        attempts: starts of a run that fails, in one start of the grid. entries: of ``evaluate``, which ``wanted`` is made of.
    """

    def __init__(
        self, folder: Folder, cells: Sequence[Cell], wanted: Mapping[str, str], attempts: int, entries: Sequence[Any] = ()
    ):
        self.folder, self.cells, self.wanted, self.attempts = folder, list(cells), dict(wanted), attempts
        self.entries = list(entries)

    def is_done(self, cell: Cell, run_dir: Path | None = None) -> bool:
        """Whether nothing is left to do for a cell, in its directory or in the one that it has now."""
        return is_done(run_dir or self.folder.run_dir(cell), cell, self.wanted, self.entries)

    def left(self) -> list[Cell]:
        """Cells whose runs are not finished and judged."""
        return [cell for cell in self.cells if not self.is_done(cell)]

    def jobs(self, cells: Sequence[Cell], pause_at: int | None = None) -> list[Job]:
        """What a launcher is given."""
        return [Job(str(self.folder.root), cell.name, self.attempts, pause_at) for cell in cells]

    def finish(self, launcher: Launcher) -> None:
        """Runs what is left to the end."""
        left = self.left()
        trained = sum(is_trained(self.folder.run_dir(cell), cell) for cell in left)
        judge = f", {trained} trained before and left to judge" if trained else ""
        done = f"{len(self.cells) - len(left)} done before{judge}"
        print(f"{counted(len(self.cells), 'run')}, {done}; in {self.folder.root}", flush=True)
        self.bring(launcher, left)

    def bring(self, launcher: Launcher, cells: Sequence[Cell], pause_at: int | None = None) -> None:
        """Runs cells to the end, or to the step of a rung, and prints a line when each has come there."""
        began = time.monotonic()
        for number, (job, state) in enumerate(launcher.run(self.jobs(cells, pause_at)), 1):
            print(self._line(number, len(cells), job, state, launcher, time.monotonic() - began), flush=True)

    def _line(self, number: int, total: int, job: Job, state: State, launcher: Launcher, seconds: float) -> str:
        told = state.error if state.error else scores(self.folder.run_dir(job.name)) if state.state == DONE else ""
        left = remaining(self.cells, states_of(self.folder, self.cells), launcher.at_once)
        after = f"; about {duration(left)} left" if left else ""
        parts = [f"[{number}/{total}] {state.state:8} {job.name}", told or "", f"{duration(seconds)} so far{after}"]
        return "   ".join(filter(None, parts))


def scores(run_dir: Path) -> str:
    """Accuracies of a run on its benchmarks, in percent."""
    found = []
    for file in sorted((run_dir / EVAL).glob(f"*/{RESULTS}")):
        numbers = kept(file.parent) or {}
        if isinstance(numbers.get("accuracy"), float):
            found.append(f"{file.parent.name} {100 * numbers['accuracy']:.1f}%")
    return ", ".join(found)

"""One run of a grid, in a process of its own: ``python -m basereward.grids.worker '[folder, cell, pause_at, started]'``.

A run that breaks, or that the system kills, takes nothing else with it. The process ends when the one that started it does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from basereward.errors import BaseRewardError
from basereward.grids.cells import Cell, settings_of
from basereward.grids.folder import CACHE, Folder
from basereward.grids.judged import is_judged, remove_damaged
from basereward.grids.spec_checks import entry_hash, entry_name, evaluate_settings
from basereward.grids.state import DONE, FAILED, PAUSED, State, stored_state, write_state
from basereward.run_directory import is_finished
from basereward.run_lock import RunInUse, lock
from basereward.settings import TrainSettings

# Exit codes: a failure may be of the moment, and is tried again; a user's mistake, or numbers that are not finite, would come again.
ENDED, BROKE, REFUSED, BUSY = 0, 1, 2, 75
# Seconds in which another process may give a run's directory back: one whose grid was killed a moment ago, or one that only looks.
PATIENCE = 15.0
LONGEST_ERROR = 300


def run_cell(root: str | Path, name: str, pause_at: int | None = None, started: str | None = None) -> int:
    """Trains a cell from where it is, judges it, and keeps ``state.json``; returns the exit code.

    Args:
        pause_at: step of a rung, where the run waits for the others. started: when its process was; now when None.
    """
    folder = Folder(root)
    cell = next(cell for cell in folder.cells() if cell.name == name)
    run_dir = folder.run_dir(cell)
    if int(os.environ.get("RANK", "0")) > 0:
        return train_beside(folder, cell, pause_at)
    run_dir.mkdir(parents=True, exist_ok=True)
    try:
        _take(run_dir)
    except RunInUse as error:
        print(error, file=sys.stderr)
        return BUSY
    state = stored_state(run_dir)
    state.begin(cell.hash, started)
    write_state(run_dir, state)
    try:
        ended = train_and_judge(folder, cell, state, pause_at)
    except Exception as error:
        traceback.print_exc()
        state.end(FAILED, last_line(error))
        write_state(run_dir, state)
        return REFUSED if isinstance(error, BaseRewardError) else BROKE
    state.end(ended)
    write_state(run_dir, state)
    return ENDED


def train_beside(folder: Folder, cell: Cell, pause_at: int | None) -> int:
    """What the other processes of a run do: train with the first one, which alone judges and tells; returns the exit code."""
    from basereward import train

    if not is_finished(folder.run_dir(cell)):
        train.run(settings_in(folder, cell, pause_at))
    return ENDED


def train_and_judge(folder: Folder, cell: Cell, state: State, pause_at: int | None) -> str:
    """What is left to do of a run; returns the state that it is in then."""
    from basereward import evaluate, train

    run_dir = folder.run_dir(cell)
    if not is_finished(run_dir):
        settings = settings_in(folder, cell, pause_at)
        sys.argv = ["basereward", "train", *cell.overrides]  # what the run keeps as overrides.txt
        train.run(settings)
        if not is_finished(run_dir):
            return PAUSED
    for entry in folder.spec().evaluate:
        key, digest = entry_name(entry), entry_hash(entry)
        if state.judged.get(key) != digest or not is_judged(run_dir, entry):
            remove_damaged(run_dir, entry)
            evaluate.run(evaluate_settings(entry, run_dir))
            state.judged[key] = digest
            write_state(run_dir, state)
    return DONE


def settings_in(folder: Folder, cell: Cell, pause_at: int | None) -> TrainSettings:
    """The config of a cell's run where it lies; what a frozen model computes is shared by the runs of the grid."""
    settings = settings_of(cell, folder.run_dir(cell))
    settings.run.resume, settings.run.pause_at = True, pause_at
    if settings.cache.dir is None:
        settings.cache.dir = str(folder.root / CACHE)
    return settings


def last_line(error: BaseException) -> str:
    """An error as one line."""
    kind = "" if isinstance(error, BaseRewardError) else f"{type(error).__name__}: "
    return f"{kind}{' '.join(str(error).split())}"[:LONGEST_ERROR]


def _take(run_dir: Path) -> None:
    """Waits a moment for a process that is about to end.

    Raises:
        RunInUse: one trains into the directory.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return lock(run_dir)
        except RunInUse:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _end_with_parent() -> None:
    """Standard input is a pipe that the starting process holds: it closes when that one ends, however it ends."""

    def wait() -> None:
        while os.read(0, 1024):  # not sys.stdin, whose lock Python could not take when it ends
            pass
        os._exit(BROKE)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    """The command line is one word, the arguments of ``run_cell`` as a JSON list."""
    words = json.loads(sys.argv[1])
    _end_with_parent()
    return run_cell(*words)


if __name__ == "__main__":
    sys.exit(main())

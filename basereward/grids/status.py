"""How far a grid is: which runs are done, running or failed, and how long the rest will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from basereward.grids.cells import Cell
from basereward.grids.folder import Folder
from basereward.grids.state import DONE, FAILED, KILLED, PAUSED, RUNNING, STOPPED, WAITING, State, now, state_of
from basereward.problems import counted
from basereward.text_tables import table

IN_ORDER = (DONE, STOPPED, RUNNING, PAUSED, KILLED, FAILED, WAITING)


def states_of(folder: Folder, cells: Sequence[Cell]) -> dict[str, State]:
    """Cell -> its state now; of a run of another config nothing is known."""
    found = {cell.name: state_of(folder.run_dir(cell)) for cell in cells}
    return {cell.name: found[cell.name] if found[cell.name].hash in ("", cell.hash) else State() for cell in cells}


def status_text(folder: Folder, cells: Sequence[Cell]) -> str:
    """A table of all runs, with the last line of what failed, and a line about the rest."""
    states = states_of(folder, cells)
    rows = [(name, state.state, _steps(state), _time(state), str(state.attempts or "")) for name, state in states.items()]
    errors = [f"{name}: {state.error}" for name, state in states.items() if state.error]
    return "\n".join([table(("run", "state", "step", "time", "starts"), rows), *errors, summary(cells, states)])


def summary(cells: Sequence[Cell], states: dict[str, State]) -> str:
    """One line: how many are in which state, and how long the rest will take."""
    counts = Counter(state.state for state in states.values())
    listed = ", ".join(f"{counts[name]} {name}" for name in IN_ORDER if counts[name])
    left = remaining(cells, states)
    told = (
        ""
        if left == 0
        else f"; about {duration(left)} left"
        if left is not None
        else "; how long the rest takes is not known yet"
    )
    return f"{counted(len(cells), 'run')}: {listed}{told}"


def remaining(cells: Sequence[Cell], states: dict[str, State], at_once: int | None = None) -> float | None:
    """Seconds until the last run is done, as long as runs take as they took; None where none has finished.

    Args:
        at_once: runs beside one another; as many as are running now when None.
    """
    finished = [(cell, states[cell.name].seconds) for cell in cells if states[cell.name].state == DONE]
    open_ = [cell for cell in cells if states[cell.name].state in (WAITING, PAUSED, RUNNING, KILLED)]
    if not open_ or not finished:
        return 0.0 if not open_ else None
    mean = sum(seconds for _, seconds in finished) / len(finished)
    work = 0.0
    for cell in open_:
        same = [seconds for other, seconds in finished if other.setting == cell.setting]
        work += (sum(same) / len(same) if same else mean) * (1 - share_done(states[cell.name]))
    running = sum(state.state == RUNNING for state in states.values())
    return work / max(1, min(at_once or running, len(open_)))


def share_done(state: State) -> float:
    """From 0 to 1: of a run's steps."""
    return min(1.0, (state.step or 0) / state.steps) if state.steps else 0.0


def duration(seconds: float) -> str:
    """A length of time in words.

    >>> duration(34.2), duration(424), duration(7500), duration(200_000)
    ('34 s', '7 min', '2 h 05 min', '2 d 7 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _steps(state: State) -> str:
    if state.step is None and state.steps is None:
        return ""
    return f"{state.step or 0}/{state.steps or '?'}"


def _time(state: State) -> str:
    seconds = state.seconds
    if state.state == RUNNING and state.started:
        seconds += (datetime.fromisoformat(now()) - datetime.fromisoformat(state.started)).total_seconds()
    return duration(seconds) if seconds else ""

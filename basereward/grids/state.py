"""What became of a run of a grid: ``state.json`` in its directory, and whether a process still works on it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from basereward.run_directory import newest_checkpoint
from basereward.run_lock import in_use
from basereward.runtime import write_json

STATE = "state.json"
# killed is never written: it is what a run is that is marked as running and that no process works on.
RUNNING, PAUSED, DONE, FAILED, STOPPED, KILLED, WAITING = "running", "paused", "done", "failed", "stopped", "killed", "waiting"

WRITTEN = (RUNNING, PAUSED, DONE, FAILED, STOPPED, WAITING)


@dataclass
class State:
    """The newest news of a run.

    Attributes:
        state: running, paused (at a rung), done, failed or stopped (at a rung). hash: of the cell that it is a run of.
        started, ended: of the newest attempt, ISO 8601 in UTC. seconds: of all attempts that came to an end.
        step, steps: optimizer steps done and to do; None where not known. error: last line of what went wrong.
        attempts: starts so far. judged: benchmark -> hash of what it was judged with.
    """

    state: str = WAITING
    hash: str = ""
    pid: int | None = None
    host: str | None = None
    started: str | None = None
    ended: str | None = None
    seconds: float = 0.0
    step: int | None = None
    steps: int | None = None
    error: str | None = None
    attempts: int = 0
    judged: dict[str, str] = field(default_factory=dict)

    def begin(self, cell_hash: str, started: str | None = None) -> None:
        """This process starts on it, or began to at a time that is given."""
        self.state, self.hash, self.error, self.ended = RUNNING, cell_hash, None, None
        self.pid, self.host, self.started = os.getpid(), socket.gethostname(), started or now()
        self.attempts += 1

    def end(self, state: str, error: str | None = None) -> None:
        """It came to an end, good or bad."""
        self.state, self.error, self.ended = state, error, now()
        if self.started:
            self.seconds += (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()


def now() -> str:
    """The time as ISO 8601, in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def stored_state(run_dir: Path) -> State:
    """What ``state.json`` says; a run without one, or with a broken one, waits."""
    try:
        found = json.loads((run_dir / STATE).read_text(encoding="utf-8"))
        state = State(**{key: value for key, value in found.items() if key in {item.name for item in fields(State)}})
        return state if _is_sound(state) else State()
    except (OSError, ValueError, TypeError, AttributeError):
        return State()


def _is_sound(state: State) -> bool:
    """Whether all of it is of the kind that ``write_state`` writes."""
    if state.started is not None:
        datetime.fromisoformat(state.started)  # a ValueError says the rest
    numbers = [state.step or 0, state.steps or 0, state.attempts, state.seconds]
    return (
        state.state in WRITTEN
        and isinstance(state.hash, str)
        and isinstance(state.error, str | None)
        and isinstance(state.judged, dict)
        and all(isinstance(number, int | float) for number in numbers)
    )


def state_of(run_dir: Path) -> State:
    """What ``state.json`` says, with how far the run is now; ``killed`` where it is marked as running and no process has it."""
    state = stored_state(run_dir)
    if state.state == RUNNING and not in_use(run_dir):
        state.state = KILLED
    if state.state in (RUNNING, KILLED, FAILED):
        state.step, state.steps = progress(run_dir)
    return state


def write_state(run_dir: Path, state: State) -> None:
    """Writes ``state.json`` whole, with how far the run is."""
    state.step, state.steps = progress(run_dir)
    write_json(run_dir / STATE, asdict(state))


def progress(run_dir: Path) -> tuple[int | None, int | None]:
    """(optimizer steps done, steps of the whole run) by its own files; None where they do not say yet."""
    last = _last_row(run_dir / "metrics.jsonl")
    step = last.get("step")
    newest = newest_checkpoint(run_dir)
    steps = _stored_max_steps(newest) if newest else None
    if steps is None:
        steps = _steps_of_config(run_dir / "config.yaml")
    return step, steps


def _last_row(file: Path) -> dict[str, Any]:
    """The last whole line of ``metrics.jsonl``."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - 20_000))
            lines = opened.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            return json.loads(line)
        except ValueError:
            continue  # being written, or cut short
    return {}


def _stored_max_steps(checkpoint: Path) -> int | None:
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["max_steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _steps_of_config(file: Path) -> int | None:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))["run"]["max_steps"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None

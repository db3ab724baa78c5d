"""Starts a cell's run in a process of its own and waits for it: tried again when it fails, ended when the grid is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from basereward.grids.folder import Folder
from basereward.grids.state import FAILED, RUNNING, State, now, state_of, stored_state, write_state
from basereward.grids.worker import BUSY, REFUSED
from basereward.run_directory import LOG_OF_A_GRID

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """A run to be brought to its end, or to the step of a rung."""

    root: str
    name: str
    attempts: int
    pause_at: int | None = None


_running: set[subprocess.Popen] = set()
_guard = threading.Lock()


def run_job(job: Job, environment: Mapping[str, str] | None = None, processes: int = 1) -> State:
    """Runs a job, and again while it fails for a reason that another try may not meet; returns its last state.

    Args:
        environment: beside that of this process. processes: of the run, through torchrun where it is more than one.
    """
    folder = Folder(job.root)
    for _ in range(max(1, job.attempts)):
        code = _one_attempt(folder, job, environment or {}, processes)
        state = _told(folder.run_dir(job.name), code)
        if code in (0, REFUSED, BUSY):
            break
    return state


def end_all() -> None:
    """Ends every run that this process started and that goes on."""
    with _guard:
        for process in _running:
            process.kill()


def with_threads(number: int | None) -> dict[str, str]:
    """The environment in which a process computes with so many threads; that of this one for None."""
    return {name: str(number) for name in THREADS} if number is not None else {}


def _one_attempt(folder: Folder, job: Job, environment: Mapping[str, str], processes: int) -> int:
    words = json.dumps([str(folder.root), job.name, job.pause_at, now()])
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *several, "-m", "basereward.grids.worker", words]
    log = folder.run_dir(job.name) / LOG_OF_A_GRID
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
                                   env={**os.environ, "PYTHONUNBUFFERED": "1", **environment})  # fmt: skip
        with _guard:
            _running.add(process)
        try:
            return process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with _guard:
                _running.discard(process)


def _told(run_dir: Path, code: int) -> State:
    """The state that a process left; one that could not write its end any more failed."""
    state = stored_state(run_dir)
    if code not in (0, BUSY) and state.state != FAILED:
        state.end(FAILED, f"{_reason(code)}; last line: {last_line_of(run_dir / LOG_OF_A_GRID)}")
        write_state(run_dir, state)
    return state_of(run_dir) if state.state == RUNNING else state


def _reason(code: int) -> str:
    """What an exit code says.

    >>> _reason(-9), _reason(3)
    ('ended by SIGKILL (memory?)', 'ended with exit code 3')
    """
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"ended by {name}{' (memory?)' if -code == signal.SIGKILL else ''}"


def last_line_of(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        text = log.read_bytes()[-4000:].decode("utf-8", "replace")
    except OSError:
        return "none"
    lines = [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "none"

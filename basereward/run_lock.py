"""One process at a time writes into a folder; the system gives the lock back when the process ends, however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from basereward.errors import ConfigError

try:
    import fcntl
except ImportError:  # not a POSIX system: runs are not guarded there
    fcntl = None

LOCK = ".lock"
_held: dict[Path, IO[str]] = {}


class RunInUse(ConfigError):
    """Another process writes into the directory."""


def lock(run_dir: Path, *, key: str = "run.dir", does: str = "trains into") -> None:
    """Takes the directory for this process until it ends; nothing where it has it already.

    Args:
        key: of the setting that names it, for the message.
        does: what another process may not do there at the same time.

    Raises:
        RunInUse: another process has it.
    """
    path = (run_dir / LOCK).resolve()
    if fcntl is None or _has(path):
        return
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        process = file.read().strip()
        file.close()
        raise RunInUse(
            f"{key}: expected a directory that no other process {does}, {run_dir} is in use by process {process or '?'}. "
            f"Wait for it or end it, or choose another {key}."
        ) from error
    except OSError:  # a file system without locks
        file.close()
        return
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _held[path] = file


def unlock(run_dir: Path) -> None:
    """Gives the directory back."""
    file = _held.pop((run_dir / LOCK).resolve(), None)
    if file is not None:
        file.close()


def in_use(run_dir: Path) -> bool:
    """Whether another process has the directory; asked without keeping it."""
    path = run_dir / LOCK
    if fcntl is None or not path.exists() or _has(path.resolve()):
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
    return False


def _has(path: Path) -> bool:
    """Whether this process has the lock; not where the file was deleted and made again."""
    file = _held.get(path)
    return file is not None and path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def _forget() -> None:
    """In a forked worker, which would otherwise hold the lock beyond the death of its parent."""
    for file in _held.values():
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

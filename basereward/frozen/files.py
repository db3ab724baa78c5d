"""Tensors kept in files that runs and processes share: written whole, checked when read, the longest unused removed first.

``<root>/<identity>/<two digits>/<name>.safetensors``. A file appears under its name when it is complete, and holds a checksum of its
tensors, so that one that a kill or a full disk cut short reads as absent. Its time of change is when it was last used.
"""

from __future__ import annotations

import functools
import logging
import os
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from basereward.runtime import write_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger(__name__)

GIB = 2**30
SUFFIX = ".safetensors"
FACTS = "identity.json"
CHECKSUM = "crc32"
# What is freed at once, so that a full folder is not looked through for every file.
FREED_SHARE = 0.05
# Of a file that is being written for longer the writer is gone; a use is noted again after as long.
STALE_SECONDS = 3600.0


@dataclass(frozen=True)
class Entry:
    """A file that is kept: when it was used, its bytes, and where it is."""

    used: float
    size: int
    path: str


class KeptFiles:
    """The files below one root; one object for each process (``kept_files``), which knows what this process uses.

    What was used since this object was made is never removed for something new: a run that needs more than the limit keeps a part of
    it, in place of writing in each epoch what it removes in the next.

    Args:
        root: folder; made when something is written. limit: bytes of all files below it; none when ``None``.
    """

    def __init__(self, root: Path, limit: int | None):
        self.root, self.limit, self.opened = root, limit, time.time()
        self.total: int | None = None  # as last counted, and what was written since
        self.counted = 0
        self.is_full = False

    def __reduce__(self):
        return kept_files, (str(self.root), self.limit)

    def describe(self, identity: str, facts: Mapping) -> None:
        """Writes beside an identity's files what it stands for, for a reader."""
        folder = self.root / identity
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FACTS).is_file():
            write_json(folder / FACTS, dict(facts))

    def path(self, identity: str, name: str) -> Path:
        """Where a file lies."""
        return self.root / identity / name[:2] / f"{name}{SUFFIX}"

    def read(self, identity: str, name: str, note: str = "") -> dict[str, torch.Tensor] | None:
        """The tensors of a name, mapped from the file; ``None`` where there are none, or not whole, or with another note."""
        path = self.path(identity, name)
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
                facts = file.metadata() or {}
            if facts.get(CHECKSUM) != checksum(tensors) or facts.get("note") != note:
                return None
            if path.stat().st_mtime < max(self.opened, time.time() - STALE_SECONDS):
                os.utime(path)
        except (SafetensorError, OSError, ValueError):
            return None
        return tensors

    def write(self, identity: str, name: str, tensors: Mapping[str, torch.Tensor], note: str = "") -> bool:
        """Keeps tensors under a name; a file that is there is replaced. False where there is no room.

        Two processes may write the same name: each writes beside it, and what is renamed last stays, whole.
        """
        host = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
        data = save(host, {CHECKSUM: checksum(host), "note": note})
        if self.is_full or not self._has_room(len(data)):
            return False
        path = self.path(identity, name)
        aside = path.with_name(f".writing-{uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(data)
            os.replace(aside, path)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            self._stop(f"{path.parent} cannot be written ({error.strerror or error})")
            return False
        self.total, self.counted = (self.total or 0) + len(data), self.counted + len(data)
        return True

    def _has_room(self, size: int) -> bool:
        """Makes room where the limit asks for it."""
        if self.limit is None:
            return True
        # Other processes write too: what they added is counted now and then.
        if self.total is None or self.counted > FREED_SHARE * self.limit:
            self._count()
        if self.total + size > self.limit:
            self._free(size)
        if self.total + size > self.limit:
            self._stop(f"{self.root} has its {self.limit / GIB:g} GiB (cache.max_gib), all used by runs that go on")
        return not self.is_full

    def _count(self) -> list[Entry]:
        found = entries(self.root)
        self.total, self.counted = sum(entry.size for entry in found), 0
        return found

    def _free(self, size: int) -> None:
        """Removes what was not used for longest; nothing where another process is at it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            try:
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return
            for entry in sorted(self._count(), key=lambda entry: entry.used):
                if entry.used >= self.opened or self.total + size <= (1 - FREED_SHARE) * self.limit:
                    break
                Path(entry.path).unlink(missing_ok=True)
                self.total -= entry.size

    def _stop(self, reason: str) -> None:
        self.is_full = True
        logger.warning("kept features: %s; what is there is used, nothing more is kept in this run", reason)


@functools.cache
def kept_files(root: str, limit: int | None) -> KeptFiles:
    """This process's object for a root: what is sent between processes with it finds the receiver's own."""
    return KeptFiles(Path(root), limit)


def entries(root: Path) -> list[Entry]:
    """All files below a root, with what a killed writer left behind, which counts as never used."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(SUFFIX) or name.startswith(".writing-"):
                try:
                    stat = os.stat(path := os.path.join(folder, name))
                except FileNotFoundError:  # removed or renamed since by another process
                    continue
                is_left = name.startswith(".writing-") and stat.st_mtime < time.time() - STALE_SECONDS
                found.append(Entry(0.0 if is_left else stat.st_mtime, stat.st_size, path))
    return found


def checksum(tensors: Mapping[str, torch.Tensor]) -> str:
    """CRC-32 of the bytes of tensors on the host, in the order of their names."""
    value = 0
    for key in sorted(tensors):
        value = zlib.crc32(tensors[key].reshape(-1).view(torch.uint8).numpy(), value)
    return f"{value:08x}"

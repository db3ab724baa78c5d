"""Images inside archives, read where they lie: `images.zip::a/b.jpg`, a zip cut into parts (`images.zip_aa`), an open tar.

The index of an archive is read once per process, into arrays of about 100 bytes per member. Members are read by position
(`pread`), so threads and forked workers share the open files without disturbing one another.
"""

from __future__ import annotations

import functools
import os
import re
import threading
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from basereward.archive_index import Index, Window, tar_index, zip_index
from basereward.archive_parts import PART, ArchiveError, NoMember, first_parts, is_archive, parts_of, refuse_packed_tar

__all__ = ["SEPARATOR", "Archive", "ArchiveError", "NoMember", "archives_in", "frames", "is_archive", "join", "open_member"]

SEPARATOR = "::"
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def split_reference(ref: object) -> tuple[str, str] | None:
    """`archive::member` -> its two halves; None for everything else."""
    if not isinstance(ref, str | os.PathLike):
        return None
    archive, mark, member = os.fspath(ref).partition(SEPARATOR)
    return (archive, member) if mark and is_archive(archive) else None


def join(root: str | os.PathLike | None, path: str) -> str:
    """Where an image lies: `path` in the folder or archive `root`, or in an archive of that folder when no such file is there."""
    if root is None:
        return path
    if os.path.isabs(path):
        return os.path.normpath(path)
    root = os.fspath(root)
    if is_archive(root) and not os.path.isdir(root):
        return root + SEPARATOR + os.path.normpath(path)
    place = os.path.normpath(os.path.join(root, path))
    if split_reference(path) or not archives_in(root) or os.path.exists(place):
        return place
    return _locate(root, os.path.normpath(path), Index.find) or place


def archives_in(folder: str) -> tuple[str, ...]:
    """Names of the archives of a folder, sorted; of a zip in parts the first part alone."""
    folder = folder or "."
    try:
        return _listed(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return ()


def open_member(archive: str, member: str) -> BinaryIO:
    """The content of a member as a file that can be read and sought.

    Raises:
        NoMember: the archive or the member is not there.
        ArchiveError: the archive is broken, incomplete, or cannot be read at random.
    """
    return opened(archive).open(member)


def frames(root: str | os.PathLike | None, folder: str, count: int) -> list[str]:
    """`count` evenly spaced pictures of a folder of video frames (all of fewer), from the first to the last by number.

    Args:
        root: folder or archive that `folder` is in.
        folder: the video.
        count: how many.

    Returns:
        Names relative to `root`, sorted so that frame 10 follows frame 9.

    Raises:
        NoMember: no such folder, or no picture in it.
    """
    place = join(root, folder)
    if root is not None and not split_reference(place) and not os.path.isdir(place):
        place = _locate(os.fspath(root), os.path.normpath(folder), Index.find_folder) or place
    inside = split_reference(place)
    if inside:
        names = opened(inside[0]).names_in(inside[1])
    else:
        names = os.listdir(place) if os.path.isdir(place) else []
    names = sorted((name for name in names if name.lower().endswith(PICTURES)), key=_by_number)
    if not names:
        raise NoMember("a folder of video frames", f"none at {place}", "fetch the frames, or correct the path or image_root")
    picks = np.linspace(0, len(names) - 1, count).astype(int) if len(names) > count else range(len(names))
    return [f"{folder}/{names[pick]}" for pick in picks]


class Archive:
    """An archive with its index; use `opened`, which keeps one of each."""

    def __init__(self, path: str) -> None:
        self.path = path
        refuse_packed_tar(path)
        self.parts = parts_of(path)
        self.window = Window([os.open(part, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)) for part in self.parts])
        try:
            self.index: Index = tar_index(self.window) if path.endswith(".tar") else zip_index(self.window)
        except (OSError, ValueError, EOFError) as error:
            raise self._broken(error) from error

    def open(self, member: str) -> BinaryIO:
        """A member's content.

        Raises:
            NoMember: with names that come close.
        """
        number = self.index.find(member)
        if number is None:
            advice = f"{self.index.near(member)}; correct the path or set image_root"
            raise NoMember("the member to be there", f"none named {member} in {self.path}", advice)
        try:
            return self.index.open(number, self.window)
        except (OSError, ValueError, EOFError) as error:
            raise ArchiveError(f"{member} whole in {self.path}", str(error), "fetch the archive again") from error

    def names_in(self, folder: str) -> list[str]:
        """Names of the members directly in a folder."""
        return self.index.names_in(folder)

    def _broken(self, error: Exception) -> ArchiveError:
        if len(self.parts) == 1 and PART.fullmatch(os.path.basename(self.path)) is None:
            return ArchiveError("a whole archive", f"{self.path} ({error})", "fetch it again")
        names = ", ".join(f"{os.path.basename(part)} ({os.path.getsize(part):,} bytes)" for part in self.parts)
        return ArchiveError("all parts of a zip, each whole", f"{names} ({error})", "fetch the part that is missing or too short")

    def __del__(self) -> None:
        if hasattr(self, "window"):
            self.window.close_files()


_lock = threading.Lock()
_archives: dict[str, tuple[tuple[int, int], Archive]] = {}
_MOST_OPEN = 64


def _fresh_lock() -> None:
    global _lock
    _lock = threading.Lock()


# A worker forked while another thread reads an index would wait for ever on the copy of a lock that nobody holds.
os.register_at_fork(after_in_child=_fresh_lock)


def opened(path: str) -> Archive:
    """The archive with its index, read at the first use in a process and again when the file has changed.

    Raises:
        NoMember: there is no such file.
        ArchiveError: it is broken.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise NoMember(
            "the archive to be there", f"{path} ({error.strerror})", "correct the path or fetch the archive"
        ) from error
    stamp = (stat.st_mtime_ns, stat.st_size)
    held = _archives.get(path)
    if held is None or held[0] != stamp:
        with _lock:
            held = _archives.get(path)
            if held is None or held[0] != stamp:
                if len(_archives) >= _MOST_OPEN:
                    _archives.pop(next(iter(_archives)))
                held = _archives[path] = (stamp, Archive(path))
    return held[1]


@functools.lru_cache(maxsize=256)
def _listed(folder: str, stamp: int) -> tuple[str, ...]:
    """`stamp` changes when a file is added, which makes the list anew."""
    return tuple(first_parts(os.listdir(folder)))


def _locate(root: str, path: str, is_there: Callable[[Index, str], object]) -> str | None:
    """`path` as a member of an archive of the folder; one that bears the name of the path's first folder may leave it out."""
    first, _, rest = path.partition("/")
    for name in sorted(archives_in(root), key=lambda name: name.partition(".")[0] != first):
        archive = os.path.join(root, name)
        for member in (path, rest) if name.partition(".")[0] == first else (path,):
            if member and is_there(opened(archive).index, member) is not None:
                return archive + SEPARATOR + member
    return None


def _by_number(name: str) -> list[tuple[int, int | str]]:
    """Sorts numbers by value.

    >>> sorted(["f10.jpg", "f9.jpg"], key=_by_number)
    ['f9.jpg', 'f10.jpg']
    """
    return [(0, int(piece)) if piece.isdigit() else (1, piece) for piece in re.split(r"(\d+)", name) if piece]

"""Where each member of a zip or tar lies, in arrays; and a window on a file, or on files one after another, read by position."""

from __future__ import annotations

import difflib
import io
import os
import struct
import tarfile
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import BinaryIO

import numpy as np

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = -1
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


class Window(io.RawIOBase):
    """`size` bytes from `start` on of files that count as one; a position of its own, none shared with other readers.

    Args:
        files: descriptors, in order.
        start, size: bytes; all of them by default.
    """

    def __init__(self, files: list[int], start: int = 0, size: int | None = None) -> None:
        self.files = files
        self.ends = list(accumulate(os.fstat(file).st_size for file in files))
        self.start = start
        self.size = self.ends[-1] - start if size is None else size
        self.at = 0

    def part(self, start: int, size: int) -> Window:
        """A window within this one."""
        return Window(self.files, self.start + start, size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"a position before the start, {base + offset}")
        self.at = base + offset
        return self.at

    def readinto(self, buffer) -> int:
        view = memoryview(buffer)
        data = self.pread(self.at, len(view))
        view[: len(data)] = data
        self.at += len(data)
        return len(data)

    def pread(self, start: int, size: int) -> bytes:
        """At most `size` bytes at a position of the window, across the files; fewer at its end alone."""
        size = max(0, min(size, self.size - start))
        pieces, position = [], self.start + start
        while size > 0 and position < self.ends[-1]:
            number = bisect_right(self.ends, position)
            before = self.ends[number - 1] if number else 0
            piece = os.pread(self.files[number], min(size, self.ends[number] - position), position - before)
            if not piece:
                raise OSError(f"the file ends {size} bytes early")
            pieces.append(piece)
            position, size = position + len(piece), size - len(piece)
        return b"".join(pieces)

    def close_files(self) -> None:
        """Closes the descriptors, for the last that uses them."""
        for file in self.files:
            os.close(file)
        self.files = []


class Index:
    """Names and places of the members of an archive.

    Args:
        members: (name, start, packed size, size, CRC-32, method) of each file; a later one of the same name counts.
        is_zip: `start` is that of a zip's local header, not of the content.
    """

    def __init__(self, members: Iterable[tuple[str, int, int, int, int, int]], *, is_zip: bool) -> None:
        rows = [(_clean(name), *facts) for name, *facts in members]
        self.is_zip = is_zip
        self.blob = b"\0" + b"".join(row[0] + b"\0" for row in rows)
        self.facts = np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, 5)
        self.begins = np.cumsum([1] + [len(row[0]) + 1 for row in rows])
        hashes = np.array([hash(row[0]) for row in rows], dtype=np.int64)
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]

    def __len__(self) -> int:
        return len(self.order)

    def find(self, name: str) -> int | None:
        """The number of a member."""
        wanted = _clean(name)
        low, high = np.searchsorted(self.hashes, hash(wanted), "left"), np.searchsorted(self.hashes, hash(wanted), "right")
        return next((int(number) for number in self.order[low:high][::-1] if self._name(number) == wanted), None)

    def find_folder(self, name: str) -> int | None:
        """Where a folder's first member stands among the names; None when there is no such folder."""
        at = self.blob.find(b"\0" + _clean(name) + b"/")
        return at if at >= 0 else None

    def open(self, number: int, window: Window) -> BinaryIO:
        """A member's content: in place where it is stored as it is, unpacked and checked otherwise.

        Raises:
            ValueError, OSError: it is broken, locked, or packed in another way.
        """
        start, packed, size, crc, method = (int(value) for value in self.facts[number])
        if self.is_zip:
            start = _content_start(window, start)
        if method == _STORED:
            if start + packed > window.size:
                raise ValueError(f"the archive ends within {self._name(number).decode('utf-8', 'replace')}")
            return io.BufferedReader(window.part(start, packed))
        if method != _DEFLATED:
            raise ValueError("a member under a password" if method == _ENCRYPTED else f"a member packed by method {method}")
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(window.pread(start, packed), size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from error
        if len(data) != size or zlib.crc32(data) != crc:
            raise ValueError("a member whose checksum does not fit")
        return io.BytesIO(data)

    def names_in(self, folder: str) -> list[str]:
        """Names directly in a folder, in the order of the archive."""
        start = b"\0" + _clean(folder) + b"/" if _clean(folder) else b"\0"
        found, at = [], self.blob.find(start)
        while at >= 0:
            end = self.blob.find(b"\0", at + 1)
            name = self.blob[at + len(start) : end] if end >= 0 else b""
            if name and b"/" not in name:
                found.append(name.decode("utf-8", "surrogateescape"))
            at = self.blob.find(start, max(end, at + 1)) if end >= 0 else -1
        return found

    def near(self, name: str) -> str:
        """Words about members that come close: the same file elsewhere, a like name in the same folder, or what names look like."""
        folder, _, base = _clean(name).rpartition(b"/")
        at = self.blob.find(b"/" + base + b"\0")
        if at < 0:
            at = self.blob.find(b"\0" + base + b"\0")
        if at >= 0:
            return (
                f"did you mean {self._name(int(np.searchsorted(self.begins, at + 1, 'right')) - 1).decode('utf-8', 'replace')!r}?"
            )
        siblings = self.names_in(folder.decode("utf-8", "surrogateescape"))[:2000]
        close = difflib.get_close_matches(base.decode("utf-8", "surrogateescape"), siblings, n=3)
        if close:
            place = folder.decode("utf-8", "replace") + "/" if folder else ""
            return "did you mean " + " or ".join(repr(place + match) for match in close) + "?"
        shown = ", ".join(self._name(number).decode("utf-8", "replace") for number in range(min(3, len(self))))
        return f"its {len(self):,} members are named like {shown or '(none)'}"

    def _name(self, number: int) -> bytes:
        return self.blob[self.begins[number] : self.begins[number + 1] - 1]


def zip_index(window: Window) -> Index:
    """The central directory of a zip.

    Raises:
        ValueError: no zip, or bytes are missing before the directory.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(window)) as file:
            entries = file.infolist()
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    first = min((info.header_offset for info in entries), default=0)
    # A file that lost bytes before its directory puts every member earlier than it was written, the first before the start.
    if first < 0:
        raise ValueError(f"{-first:,} bytes are missing")
    return Index(
        (
            (info.filename, info.header_offset, info.compress_size, info.file_size, info.CRC,
             _ENCRYPTED if info.flag_bits & 1 else info.compress_type)
            for info in entries
            if not info.is_dir()
        ),
        is_zip=True,
    )  # fmt: skip


def tar_index(window: Window) -> Index:
    """The headers of a tar, read from end to end without the contents.

    Raises:
        ValueError: no tar, or cut off.
    """
    members = []
    try:
        with tarfile.open(fileobj=io.BufferedReader(window), mode="r:") as file:
            for info in file:
                if info.isreg() and not info.issparse():
                    members.append((info.name, info.offset_data, info.size, info.size, 0, _STORED))
                file.members = []  # tarfile keeps every header it has read, about 1 KB each
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error
    return Index(members, is_zip=False)


def _clean(name: str) -> bytes:
    """A member's name as it is compared: no ./ before it, no / around it."""
    return name.replace("\\", "/").removeprefix("./").strip("/").encode("utf-8", "surrogateescape")


def _content_start(window: Window, start: int) -> int:
    """Behind a member's local header, whose length is its own."""
    head = window.pread(start, _LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size or not head.startswith(b"PK\x03\x04"):
        raise ValueError(f"no member at byte {start:,}: bytes are missing or were changed")
    _, name, extra = _LOCAL_HEADER.unpack(head)
    return start + _LOCAL_HEADER.size + name + extra

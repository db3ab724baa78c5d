"""Which files are archives, by their names; the parts of a zip that was cut for its size; what is wrong with either."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from basereward.errors import DataError

_PACKED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_ENDINGS = (".zip", ".tar", *_PACKED_TARS)
PART = re.compile(r"(.+\.zip[._])([a-z]{2}|\d{2,3})")
FIRST_PARTS = ("aa", "00", "01", "000", "001")


class ArchiveError(DataError):
    """An archive, or a member of one, that cannot be read.

    Attributes:
        expected, found, advice: the three parts of the message.
    """

    def __init__(self, expected: str, found: str, advice: str) -> None:
        self.expected, self.found, self.advice = expected, found, advice
        super().__init__(f"expected {expected}; found {found}; {advice}")


class NoMember(ArchiveError):
    """The archive, or the member in it, is not there."""


def is_archive(path: str | os.PathLike) -> bool:
    """By its name: a zip, a part of a zip, or a tar.

    >>> is_archive("images.zip_aa"), is_archive("images.zip"), is_archive("images")
    (True, True, False)
    """
    name = os.path.basename(os.fspath(path))
    return name.endswith(_ENDINGS) or PART.fullmatch(name) is not None


def first_parts(names: Iterable[str]) -> list[str]:
    """The archives among file names, of a zip in parts the first part alone."""
    known = {name for name in names if is_archive(name)}
    cut = {name: found.groups() for name in known if (found := PART.fullmatch(name))}
    firsts = {start: min(ending for other, ending in cut.values() if other == start) for start, _ in cut.values()}
    return sorted(name for name in known if name not in cut or firsts[cut[name][0]] == cut[name][1] in FIRST_PARTS)


def refuse_packed_tar(path: str) -> None:
    """Raises ArchiveError for a tar whose members cannot be read one by one."""
    if path.endswith(_PACKED_TARS):
        found = f"{path}, of which every image would mean unpacking all that stands before it"
        advice = f"unpack it once: tar -xf {path} -C {os.path.dirname(path) or '.'}"
        raise ArchiveError("an archive that can be read at random (.zip, .tar)", found, advice)


def parts_of(path: str) -> list[str]:
    """The parts of a zip in order, none missing in between; the file itself when it is whole."""
    found = PART.fullmatch(path)
    if not found:
        return [path]
    start, ending = found.groups()
    if ending not in FIRST_PARTS:
        raise ArchiveError("the first part of a zip", path, f"name the first part, such as {start}{FIRST_PARTS[0]}")
    parts = [path]
    while os.path.exists(following := start + (ending := _next(ending))):
        parts.append(following)
    siblings = os.listdir(os.path.dirname(path) or ".")
    later = sorted(name for name in siblings if _is_later(name, os.path.basename(start), ending))
    if later:
        raise ArchiveError("all parts of a zip", f"{later[0]} and no {os.path.basename(following)}", f"fetch {following}")
    return parts


def _next(ending: str) -> str:
    """What `split` names the next part.

    >>> _next("az"), _next("009")
    ('ba', '010')
    """
    if ending.isdigit():
        return f"{int(ending) + 1:0{len(ending)}d}"
    first, second = ending
    return first + chr(ord(second) + 1) if second < "z" else chr(ord(first) + 1) + "a"


def _is_later(name: str, start: str, ending: str) -> bool:
    rest = name.removeprefix(start)
    return rest != name and len(rest) == len(ending) and rest.isalnum() and rest > ending

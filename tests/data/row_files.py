"""Archives and pictures as tables and repositories store them, for the rows of tests."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from recipe_pictures import picture


def stored(number: int = 0, name: str = "picture.png") -> dict:
    """A picture as an `Image` column holds it."""
    return {"bytes": picture(number), "path": name}


def put(file: Path, content: bytes) -> Path:
    """Writes a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def json_lines(rows: Iterable[object]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zipped(members: Mapping[str, bytes]) -> bytes:
    """The bytes of a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members: Mapping[str, bytes]) -> bytes:
    """The bytes of a tar archive."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def in_parts(name: str, content: bytes, count: int = 3) -> dict[str, bytes]:
    """An archive cut into parts, `images.zip_aa` and so on, as the Hub stores what is too large for one file."""
    size = -(-len(content) // count)
    return {f"{name}_a{'abcdef'[index]}": content[index * size : (index + 1) * size] for index in range(count)}

"""A file of lines that is written a piece at a time, `<file>.part`, and what it is made of, `<file>.part.json`, so that a process that
was killed goes on where it was, and never goes on with what something else began.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from basereward.errors import ConfigError
from basereward.runtime import write_json

# Half a character, which a row of JSON can hold and UTF-8 cannot, is written as it came: as its escape.
LONE_SURROGATES = "backslashreplace"

log = logging.getLogger(__name__)


def part_of(file: str | Path) -> tuple[Path, Path]:
    """What is written until a file is whole, and its identity."""
    return Path(f"{file}.part"), Path(f"{file}.part.json")


def open_part(
    part: Path, identity: Path, makes: Mapping[str, Any], *, key: str, anew: str, start_anew: bool = False, every: int = 1
) -> int:
    """Gets a file ready to be continued: cuts off a half-written line.

    Args:
        part, identity: as `part_of` gives them.
        makes: everything that the lines depend on, as JSON gives it back.
        key: of the setting that names the file, for messages.
        anew: how to start anew, for the message.
        start_anew: what was begun with other facts is thrown away, and said so; otherwise it is an error.
        every: lines belong together in groups of so many; a group that is not whole is cut off too.

    Returns:
        How many lines are in it.

    Raises:
        ConfigError: what is there was begun with other facts.
    """
    before = json.loads(identity.read_text(encoding="utf-8")) if part.exists() and identity.exists() else None
    if before not in (None, makes):
        changed = [name for name in makes if makes[name] != before.get(name)] or sorted(before.keys() - makes.keys())
        found = f"{part} was begun with another {' and '.join(changed)} ({before.get(changed[0])!r})"
        if not start_anew:
            raise ConfigError(f"{key}: {found}; run that command to finish it, or start anew with {anew}")
        log.info("%s; starting anew", found)
        before = None
    if before is None:
        part.unlink(missing_ok=True)
        write_json(identity, makes)
        return 0
    content = part.read_bytes()
    lines = content.splitlines(keepends=True)
    whole = sum(line.endswith(b"\n") for line in lines) // every * every
    os.truncate(part, sum(map(len, lines[:whole])))
    return whole

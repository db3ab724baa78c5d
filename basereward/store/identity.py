"""Which folder holds a source: a hash of everything that its comparisons depend on."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from basereward import nested, preferences, records, screening, spellings, turns
from basereward.recipes import Recipe
from basereward.runtime import cache_home, file_hash, write_json
from basereward.store.rows import FORMAT
from basereward.store.stored import MANIFEST, shard_name

IDENTITY = "identity.json"
HASHES = "file_hashes.json"
DIGITS = 12
# What every recipe's rows go through, beside the files of its own classes.
SHARED_CODE = (records, spellings, preferences, turns, nested, screening)


def store_root(given: str | None) -> Path:
    """Where prepared sources lie: `data.prepared`, else `$BASEREWARD_CACHE/prepared`, else `~/.cache/basereward/prepared`."""
    if given is not None:
        return Path(given).expanduser()
    return cache_home() / "prepared"


def identity(recipe: Recipe, node: Mapping[str, Any], steps: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """What the comparisons of a source depend on.

    Args:
        node: the config node that the recipe was built from, with its card. steps: settings of what its comparisons pass.
        root: where hashes of files are kept, so that a file is read for its hash once.
    """
    return {
        "format": FORMAT,
        "source": recipe.source,
        "recipe": json.loads(json.dumps(node, default=str)),
        "steps": dict(steps),
        "code": code_hash(type(recipe)),
        "files": [[file.name, _hash(file, root)] for file in recipe.files()],
    }


def folder_of(facts: Mapping[str, Any], root: Path) -> Path:
    """The folder of a source with this identity."""
    text = json.dumps(facts, sort_keys=True)
    return root / f"{facts['source']}-{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"


def may_be_prepared(source: str, root: Path) -> bool:
    """Whether any folder of a source of this name holds anything prepared: if not, no file needs to be hashed to know."""
    return any(any(root.glob(f"{source}-{'?' * DIGITS}/{file}")) for file in (MANIFEST, shard_name(0)))


def code_hash(recipe: type) -> str:
    """SHA-256 of the files that make comparisons of rows: the recipe's class, those it inherits from, and `parse_row`'s."""
    modules = [inspect.getmodule(cls) for cls in recipe.__mro__ if cls is not object]
    digest = hashlib.sha256()
    for module in (*modules, *SHARED_CODE):
        if module is not None and getattr(module, "__file__", None):
            digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()


def _hash(file: Path, root: Path) -> str:
    """SHA-256 of a file; taken from the list in ``root`` while its size and time of change are the same."""
    stat = file.stat()
    key, seen = os.path.abspath(file), [stat.st_size, stat.st_mtime_ns]
    known = _known(root)
    if known.get(key, [None, None])[0] != seen:
        known[key] = [seen, file_hash(file)]
        # Only saves time: a folder that cannot be written, or another process that writes it, costs hashing again.
        with suppress(OSError):
            root.mkdir(parents=True, exist_ok=True)
            write_json(root / HASHES, known)
    return known[key][1]


def _known(root: Path) -> dict[str, list]:
    try:
        return json.loads((root / HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}

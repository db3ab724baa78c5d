"""Benchmarks that were read once: their keys, kept in the folder of prepared sources and told by all that they depend on.

These are the settings and the code of the recipe, the content of its files, the size and time of change of each picture that its rows
name, at hand or not, and the archives among which pictures are looked for. A dataset of the Hub is kept when its revision is pinned.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from basereward import images
from basereward.archives import archives_in
from basereward.errors import DataError
from basereward.fingerprints import pictures as fingerprints
from basereward.fingerprints import text
from basereward.fingerprints.pictures import content_key
from basereward.kept.kinds import UNICODE, code_of
from basereward.kept.looks import CODECS
from basereward.kept.tables import arrays_of, read_arrays, table_of, write_arrays
from basereward.overlap import known as known_code
from basereward.overlap.known import Known, content_of
from basereward.recipes import Recipe
from basereward.records import Comparison
from basereward.store.identity import identity
from basereward.store.pictures import Stamps

FOLDER = "benchmarks"
DIGITS = 12
_WORDS = ("name", "version", "ids", "content", "texts_alone")


@dataclass(frozen=True)
class Place:
    """Where a benchmark is kept, or would be."""

    file: Path
    facts: str
    """All that its keys depend on, but for the pictures, as JSON."""

    def read(self) -> Known | None:
        """The benchmark; None where it is not kept, or a picture is another one now."""
        arrays = read_arrays(self.file, self.facts)
        if arrays is None:
            return None
        about = json.loads(str(arrays["about"]))
        if stamps_of([ref for ref, _ in about["pictures"]]) != about["pictures"]:
            return None
        words = {name: about[name] for name in _WORDS}
        return Known(**words, answers=table_of(arrays), hashes=arrays["hashes"], owners=arrays["owners"])

    def keep(self, known: Known, pictures: Sequence[str]) -> None:
        """Writes the benchmark, whole or not at all; a folder that cannot be written costs reading it again.

        Args:
            pictures: paths of all pictures of its rows, also of those that are not there.
        """
        about = {name: getattr(known, name) for name in _WORDS} | {"pictures": stamps_of(pictures)}
        arrays = arrays_of(known.answers) | {"hashes": known.hashes, "owners": known.owners, "about": np.array(json.dumps(about))}
        with suppress(OSError, DataError):
            write_arrays(self.file, arrays, self.facts)


def stamps_of(refs: Sequence[str]) -> list[list]:
    """[path, [bytes, time of change]] of files, as JSON gives them back; null for what is not there."""
    stamps = Stamps()
    return [[ref, list(found) if (found := stamps(ref)) is not None else None] for ref in refs]


def place_of_recipe(recipe: Recipe, node: Mapping[str, Any], by_picture: bool, root: Path) -> Place | None:
    """Of what a recipe reads; None where another day may bring other rows.

    Args:
        node: the config node that the recipe was built from. root: the folder of prepared sources.
    """
    data, card = recipe.data, recipe.card
    if data.is_hub and (data.path != card.hub_id or card.revision is None):
        return None
    folder = os.fspath(recipe.images_in() or data.folder)
    beside = stamps_of([os.path.join(folder, name) for name in archives_in(folder)])
    return _place(identity(recipe, node, {"by_picture": by_picture, "archives": beside}, root), root)


def place_of_items(name: str, version: str, items: Sequence[Comparison], root: Path) -> Place:
    """Of a benchmark that no recipe reads; its pictures are told by their content."""
    digest = hashlib.sha256(content_of(items).encode())
    for item in items:
        digest.update(json.dumps([item.id, [content_key(ref) for ref in item.images]]).encode())
    return _place({"name": name, "version": version, "items": digest.hexdigest()}, root)


def _place(facts: Mapping[str, Any], root: Path) -> Place:
    code = code_of((sys.modules[__name__], known_code, fingerprints, text, images), (UNICODE, *CODECS))
    whole = json.dumps({**facts, "keys": code}, sort_keys=True)
    return Place(root / FOLDER / f"{hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]}.npz", whole)

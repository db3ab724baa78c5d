"""Where the rows of a dataset are: on the Hub, in a copy of its repository, in a saved folder, or in the user's own files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from basereward.cards import Card
from basereward.errors import ConfigError
from basereward.hub import commit_on_hub, copied_files, read_hub, unreachable
from basereward.reading import SUFFIXES, Row, find_files, is_saved_dataset, read_file, read_saved

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass
class DataPlace:
    """Finds and reads the rows of one source.

    Args:
        path: as in `Recipe`; None stands for `card.hub_id`.
        card: with the Hub id and the revision.
        split, subset, streaming: as in `Recipe`.
        pattern: of the repository's files of this split, where their names do not say it.
        in_archive: whether the repository keeps its rows in archives.
    """

    path: str | os.PathLike | None
    card: Card
    split: str | None = None
    subset: str | None = None
    streaming: bool = False
    pattern: str | None = None
    in_archive: bool = False
    commit: str | None = None
    """Of the Hub, once rows were read from there."""

    def __post_init__(self) -> None:
        if self.path is None and self.card.hub_id is None:
            expected = "a file, a pattern, a folder or the id of a Hub dataset"
            raise ConfigError(f"path: expected {expected}, found none; add path=my_pairs.jsonl")
        is_given = self.path is not None
        self.path = os.path.expanduser(os.fspath(self.path)) if is_given else str(self.card.hub_id)
        self.is_hub = not is_given or self._is_hub_id()
        self.is_saved = not self.is_hub and is_saved_dataset(self.path)
        self.is_folder = not self.is_hub and not self.is_saved and os.path.isdir(self.path)
        takes_split = self.is_hub or self.is_saved or self.is_folder or self.card.hub_id
        for key, value, takes in (("split", self.split, takes_split), ("subset", self.subset, takes_split and not self.is_saved)):
            if value is not None and not takes:
                found = f"found {key}={value!r} for {self.path}"
                raise ConfigError(f"{key}: expected only for a Hub dataset or a folder with one; {found}; leave it out")

    @property
    def folder(self) -> str:
        """What names within the data are relative to: the folder itself, or that of the file."""
        return str(self.path) if self.is_folder else os.path.dirname(self.path)

    def files(self) -> list[Path]:
        """The files that hold the rows; none for the Hub.

        Raises:
            DataError: they are not there.
        """
        if self.is_hub:
            return []
        folder = Path(self.path)
        if self.is_saved:
            return sorted(folder.rglob("*.arrow"))
        if self.is_folder and (self.split or self.subset or self.pattern or not _has_rows(folder)):
            return copied_files(folder, split=self.split, subset=self.subset, pattern=self.pattern)
        return find_files(self.path)

    def rows(self) -> Iterator[Row]:
        """All rows, with where they stand."""
        if self.is_hub:
            yield from self._hub_rows()
        elif self.is_saved:
            yield from read_saved(self.path, self.split)
        else:
            for file in self.files():
                yield from read_file(file)

    def _hub_rows(self) -> Iterator[Row]:
        """The card's revision is that of the card's dataset; another one is read as it is today."""
        card = self.card if self.path == self.card.hub_id else Card(hub_id=self.path)
        if self.in_archive:
            raise unreachable(card, "its rows lie in archives: fetch and unpack them")
        self.commit = commit_on_hub(card)
        card = replace(card, revision=self.commit or card.revision)
        return read_hub(card, split=self.split, subset=self.subset, files=self.pattern, streaming=self.streaming)

    def _is_hub_id(self) -> bool:
        first = self.path.split("/", 1)[0]
        return bool(_HUB_ID.fullmatch(self.path)) and not os.path.exists(first) and not Path(self.path).suffix


def _has_rows(folder: Path) -> bool:
    return any(file.name.endswith(SUFFIXES) for file in folder.iterdir())

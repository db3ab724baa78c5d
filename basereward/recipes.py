"""A recipe turns the rows of one dataset into comparisons; `accounts.Reader` runs it and accounts for every row.

A new dataset is one file in `data_recipes/` with a subclass of `Recipe`, one YAML in `conf/recipe/` with its `_target_` and its
card, and rows to test it on. Files in a spelling that `parse_row` knows need no class: `data_recipes/custom.py` reads them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from basereward import archives
from basereward.cards import make_card
from basereward.columns import Layout, check_columns, layouts, missing
from basereward.data_place import DataPlace
from basereward.errors import ConfigError, DataError, near_matches
from basereward.problems import Notes, Problem
from basereward.records import Comparison, parse_row, without_images

IMAGE_MISSING = "image missing"
ON_MISSING_IMAGE = ("drop", "fail", "keep")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that a recipe leaves out on purpose: known of this dataset, counted under `reason`, never an error."""

    reason: str


class Recipe:
    """Reads rows of one shape; subclasses say `columns` and change `comparison`, or `rows` where several rows are one comparison.

    Args:
        path: a file, a pattern with `*`, a folder of data files, of `save_to_disk` or with a copy of the Hub repository, or the id of
            a Hub dataset; None reads `card.hub_id` at `card.revision` from the Hub.
        image_root: folder or archive that relative image paths start from, or a folder that holds such archives; the folder of the
            data when None.
        split, subset: of a Hub dataset, a copy of one, or a saved one; without effect on a file of a dataset with a Hub id.
        streaming: rows of the Hub pass without being stored.
        check_images: open and decode every image file before training starts.
        text_only: leaves the images of every row out, for a look at the texts of a set whose images are not at hand.
        on_missing_image: drop counts a row whose image is not there as "image missing", fail makes it a problem; by default drop
            where the card says where others find the dataset, whose images come separately. keep looks at no image and leaves out
            no row: whoever opens the image gets the error.
        keep_ties: rows whose responses are all tied become comparisons without pairs, for a loss that reads ties; else they are
            problems.
        source: name of the data source, set from the config.
        card: fields of `Card`.
    """

    columns: ClassVar[Layout | Sequence[Layout]] = {}
    """Required top-level columns -> their kinds (`basereward.columns`), or several such layouts of which any one must fit."""
    repository_files: ClassVar[str | None] = None
    """Pattern of the repository's data files, where their names and folders do not say the split; {split} and {subset} are filled
    in, with * where they are null."""
    rows_in_archive: ClassVar[bool] = False
    """Whether the repository keeps its rows in archives, which the Hub cannot read out: a copy must be unpacked first."""
    is_public: ClassVar[bool] = True
    """False for files of the user's own, in which a missing image is a mistake whatever the card says."""

    def __init__(
        self,
        path: str | os.PathLike | None = None,
        *,
        image_root: str | os.PathLike | None = None,
        split: str | None = None,
        subset: str | None = None,
        streaming: bool = False,
        check_images: bool = True,
        text_only: bool = False,
        on_missing_image: str | None = None,
        keep_ties: bool = False,
        source: str = "",
        card: Mapping | None = None,
    ) -> None:
        self.card = make_card(card or {})
        pattern = self.repository_files and self.repository_files.format(split=split or "*", subset=subset or "*")
        self.data = DataPlace(path, self.card, split, subset, streaming, pattern, self.rows_in_archive)
        self.path = str(self.data.path)
        self.image_root = image_root
        self.check_images, self.text_only, self.keep_ties = check_images, text_only, keep_ties
        public = self.is_public and self.card.is_public
        self.on_missing_image = on_missing_image or ("drop" if public else "fail")
        if self.on_missing_image not in ON_MISSING_IMAGE:
            close = near_matches(str(on_missing_image), ON_MISSING_IMAGE)
            raise ConfigError(f"on_missing_image: expected drop, fail or keep; found {on_missing_image!r}; {close}")
        if self.on_missing_image == "keep":
            self.keep_missing_images()
        self.source = source
        self.rows_in_files = 0

    def keep_missing_images(self) -> None:
        """Looks at no image and leaves out no row, as `on_missing_image="keep"` does."""
        self.on_missing_image, self.check_images = "keep", False

    def files(self) -> list[Path]:
        """The files that are read, for their rows and for the hash in the manifest.

        Raises:
            DataError: they are not there, or the archive of the images is not.
        """
        self.images_in()
        return self.data.files()

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """(where, row) for every row; a `Problem` stands for a row that cannot be read.

        A recipe that makes one comparison of several rows goes through `super().rows()`.
        """
        return self.checked(self.data.rows())

    def checked(self, rows: Iterator[tuple[str, Mapping | Problem]]) -> Iterator[tuple[str, Mapping | Problem]]:
        """Counts the rows, compares the first with `columns`, and makes a problem of later ones without a required column.

        Raises:
            DataError: the first row has other columns.
        """
        wanted, is_first = layouts(self.columns), True
        for where, row in rows:
            self.rows_in_files += 1
            if isinstance(row, Problem) or not wanted:
                yield where, row
                continue
            if is_first:
                check_columns(row, wanted, where=where, of=self._described())
                is_first = False
            lacking = missing(row, wanted) if isinstance(row, Mapping) else ["row"]
            yield where, (_without(row, lacking, where) if lacking else row)

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The comparison of a row.

        Raises:
            RowError: with every problem of the row.
        """
        return self.parse(row, where)

    def parse(self, row: Mapping, where: str) -> Comparison:
        """`parse_row` with this recipe's images, source name, and an id made of file name and row for rows without one."""
        default_id = os.path.relpath(where, self.path) if self.data.is_folder else os.path.basename(where)
        root = self.image_place(where)
        parsed = parse_row(row, where=where, image_root=root, source=self.source, default_id=default_id, keep_ties=self.keep_ties)
        return without_images(parsed) if self.text_only else parsed

    def frames(self, folder: str, where: str, count: int) -> list[str] | Dropped:
        """`count` evenly spaced frames of a video, to be given as `images`; or the missing image (with `on_missing_image="keep"`, names
        under which nothing is found).

        Raises:
            RowError: there are none, with `on_missing_image="fail"`.
        """
        if self.text_only:
            return []
        try:
            return archives.frames(self.image_place(where), folder, count)
        except archives.NoMember as error:
            if self.on_missing_image == "drop":
                return Dropped(IMAGE_MISSING)
            if self.on_missing_image == "keep":
                return [f"{folder}/frame {number} of {count}" for number in range(1, count + 1)]
            notes = Notes(where)
            notes.add(IMAGE_MISSING, error.expected, error.found, error.advice)
            notes.raise_if_any()
            raise

    def image_place(self, where: str) -> str | os.PathLike | None:
        """The folder or archive that relative image paths of a row start from."""
        if self.image_root is not None or self.data.is_hub:
            return self.images_in()
        return self.path if self.data.is_folder else os.path.dirname(where)

    def images_in(self) -> str | os.PathLike | None:
        """`image_root` as given, or within the folder of the data when it is not there.

        Raises:
            DataError: it names an archive that is in neither place.
        """
        if self.image_root is None or os.path.exists(self.image_root):
            return self.image_root
        beside = os.path.join(self.data.folder, self.image_root)
        if not self.data.is_hub and os.path.exists(beside):
            return beside
        if not archives.is_archive(self.image_root):
            return self.image_root
        folder = self.path if self.data.is_folder else None
        fetch = f"fetch it: {self.card.fetch_command(folder)}" if self.card.hub_id else "correct image_root"
        raise DataError(f"expected the archive of images {self.image_root}; found no such file; {fetch}")

    def notes(self) -> list[str]:
        """Sentences for the manifest about what this reading did or lacks."""
        return []

    def _described(self) -> str:
        name = type(self).__module__.rpartition(".")[2]
        revision = f"revision {self.card.revision}" if self.card.revision else "no revision pinned"
        return f"recipe={name}" + (f" ({self.card.hub_id}, {revision})" if self.card.hub_id else "")


def _without(row: object, lacking: list[str], where: str) -> Problem:
    found = f"the columns {', '.join(map(str, row)) or '(none)'}" if isinstance(row, Mapping) else type(row).__name__
    expected = ", ".join(f"`{name}`" for name in lacking)
    name = str(row.get("id", "")) if isinstance(row, Mapping) else ""
    return Problem("missing columns", where, name, expected, found, "complete the row or drop it")

"""MMPR-v1.2: a list of subsets, their annotations in one archive, their pictures in another -> pairs.

basereward train data=mmpr data.sources.mmpr.path=<copy of the release>
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from basereward.data_recipes.pictures_apart import PicturesApart

from basereward.errors import ConfigError, DataError, near_matches
from basereward.problems import Problem
from basereward.reading import read_file, read_lines
from basereward.recipes import Dropped
from basereward.records import Comparison
from basereward.screening import pair_fault, question_fault

META = "meta.json"
RELEASE = "MMPR-v1.2/"
_NAME = re.compile(r"[^a-z0-9]")


class MMPR(PicturesApart):
    """Reads a copy of the release as it is downloaded: `meta.json`, `annotations.zip` and `images.zip_aa`, `_ab`, `_ac`.

    Unpacked folders `annotations` and `images` are read where they are there. Each row is read once: `repeat_time` of the
    subsets is how often their authors' training saw them, and here the mixture's business.

    Args:
        path: folder of the copy; files of rows are read as one subset.
        exclude: subsets to leave out, by a part of their names; case, dashes and underscores do not matter. `[rlaif_v]` leaves
            out what stands in RLAIF-V too.
        options: as in `Recipe`.
    """

    columns: ClassVar[Mapping[str, str]] = {"question": "text", "chosen": "text", "rejected": "text"}
    rows_in_archive: ClassVar[bool] = True

    def __init__(self, path: str | os.PathLike | None = None, *, exclude: Sequence[str] = (), **options: Any) -> None:
        super().__init__(path, **options)
        self.exclude = tuple(exclude)

    def files(self) -> list[Path]:
        """The list of subsets and the annotations."""
        folder = Path(self.path)
        if not (folder / META).is_file():
            return super().files()
        unpacked = sorted((folder / "annotations").glob("*.jsonl"))
        return [folder / META, *(unpacked or [folder / "annotations.zip"])]

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """The rows of all subsets in the order of `meta.json`, with `subset` and the folder of their pictures as `root`."""
        is_release = (Path(self.path) / META).is_file()
        return self.checked(self._rows_of_subsets()) if is_release else super().rows()

    def _rows_of_subsets(self) -> Iterator[tuple[str, Mapping | Problem]]:
        folder = Path(self.path)
        subsets = json.loads((folder / META).read_text(encoding="utf-8"))
        self._check_excluded(subsets)
        for name, subset in subsets.items():
            root = subset["root"].removeprefix(RELEASE).strip("/")
            for where, row in _annotations(folder, subset["annotation"].removeprefix(RELEASE)):
                yield where, row if isinstance(row, Problem) else {**row, "subset": name, "root": root}

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The pair of a row."""
        subset = str(row.get("subset", ""))
        if excluded := next((name for name in self.exclude if _plain(name) in _plain(subset)), None):
            return Dropped(f"excluded: {excluded}")
        if row.get("video"):
            return Dropped("video without frames")
        if fault := pair_fault(row["chosen"], row["rejected"]):
            return Dropped(fault)
        given = row.get("image") or []
        images = [_in_release(image, row.get("root", "")) for image in ([given] if isinstance(given, str) else given)]
        if None in images:
            return Dropped("picture outside the release")
        if fault := question_fault(row["question"], len(images)):
            return Dropped(fault)
        record = {"prompt": row["question"], "chosen": row["chosen"], "rejected": row["rejected"], "images": images}
        return self.parse(record | {"category": subset}, where)

    def _check_excluded(self, subsets: Mapping) -> None:
        for name in self.exclude:
            if not any(_plain(name) in _plain(subset) for subset in subsets):
                advice = near_matches(name, subsets)
                raise ConfigError(f"exclude: expected a part of a subset's name in {self.path}/{META}; found {name!r}; {advice}")


def _plain(name: str) -> str:
    """A name without what spellings differ in.

    >>> _plain("openbmb/RLAIF-V-Dataset")
    'openbmbrlaifvdataset'
    """
    return _NAME.sub("", name.lower())


def _annotations(folder: Path, name: str) -> Iterator[tuple[str, Mapping | Problem]]:
    """The rows of one annotation file, unpacked or in the archive."""
    file = folder / name
    if file.is_file():
        yield from read_file(file)
        return
    with zipfile.ZipFile(folder / "annotations.zip") as archive:
        members = {member.rpartition("/")[2]: member for member in archive.namelist()}
        member = members.get(file.name)
        if member is None:
            raise DataError(
                f"expected {name}, which {META} names, in {folder}/annotations.zip; found none; {near_matches(file.name, members)}"
            )
        with archive.open(member) as stream:
            yield from read_lines(stream, f"{folder}/annotations.zip::{member}")


def _in_release(image: object, root: str) -> str | None:
    """A picture's path from the folder of the release; None when it cannot be told.

    Some rows have the path on the authors' machine. What follows the name of the release in it, or the subset's own folder, is
    the path in the release.

    >>> _in_release("a/1.png", "images/geo"), _in_release("/cluster/x/MMPR-v1.2/images/geo/1.png", "images/geo")
    ('images/geo/a/1.png', 'images/geo/1.png')
    >>> _in_release("/cluster/data/geo/1.png", "images/geo"), _in_release("/cluster/else/1.png", "images/geo")
    ('images/geo/1.png', None)
    """
    if not isinstance(image, str) or not image.strip():
        return None
    if not os.path.isabs(image):
        return f"{root}/{image}" if root else image
    for mark in (RELEASE, f"/{root}/", f"/{root.rpartition('/')[2]}/"):
        before, found, rest = image.partition(mark)
        if found and rest and mark.strip("/"):
            return rest if mark == RELEASE else f"{root}/{rest}"
    return None

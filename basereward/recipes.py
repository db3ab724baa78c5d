"""A recipe turns the rows of one dataset into comparisons; `read` runs it and accounts for every row.

A new dataset is one file in `data_recipes/` with a subclass of `Recipe` and one YAML in `conf/recipe/` with its `_target_` and
its card. Files in a spelling that `parse_row` knows need no class: `data_recipes/custom.py` reads them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from basereward.errors import ConfigError, DataError, near_matches
from basereward.images import ImageError, check_image, image_key
from basereward.problems import BadRows, Problem, RowError, counted, in_words
from basereward.reading import (
    find_files,
    hash_files,
    is_saved_dataset,
    read_file,
    read_hub,
    read_saved,
    with_progress,
)
from basereward.records import Comparison, parse_row

ON_ERROR = ("fail", "skip")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Card:
    """What is known of a dataset before it is read; it goes into the manifest of every run that uses it."""

    hub_id: str | None = None
    revision: str | None = None
    """Commit on the Hub; null where nobody looked it up."""
    origin: str = ""
    """Where the files that were read for `verified_on` came from."""
    licence: str = "unknown"
    rows_expected: Mapping[str, int] = field(default_factory=dict)
    """File name -> its number of rows; another number is reported in the manifest."""
    quirks: tuple[str, ...] = ()
    verified_on: str | None = None
    """Date on which the recipe was last run on real rows."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that a recipe leaves out on purpose: known of this dataset, counted under `reason`, never an error."""

    reason: str


@dataclass
class SourceData:
    """What a recipe's rows became, and the account of them."""

    comparisons: list[Comparison]
    manifest: dict
    problems: list[Problem] = field(default_factory=list)
    """Of the rows that were left out with `on_error="skip"`."""


class Recipe:
    """Reads files whose rows are records; subclasses change `comparison`, or `rows` where rows are spread over files.

    Args:
        path: a file, a pattern with `*`, a folder of data files or of `save_to_disk`, or the id of a Hub dataset.
        image_root: folder that relative image paths start from; the folder of the row's file when None.
        split, subset: of a saved or Hub dataset.
        check_images: open and decode every image file before training starts.
        keep_ties: rows whose responses are all tied become comparisons without pairs, for a loss that reads ties; else they are
            problems.
        source: name of the data source, set from the config.
        card: fields of `Card`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        image_root: str | os.PathLike | None = None,
        split: str | None = None,
        subset: str | None = None,
        check_images: bool = True,
        keep_ties: bool = False,
        source: str = "",
        card: Mapping | None = None,
    ) -> None:
        self.path = os.path.expanduser(os.fspath(path))
        self.image_root = image_root
        self.split, self.subset = split, subset
        self.check_images, self.keep_ties = check_images, keep_ties
        self.source = source
        self.card = _card(card or {})
        self.is_hub = self._is_hub_id()
        self.is_saved = is_saved_dataset(self.path)
        if split is not None and not (self.is_hub or self.is_saved):
            raise ConfigError(f"split: expected only for a saved or Hub dataset; found split={split!r} for {path}; leave it out")
        if subset is not None and not self.is_hub:
            raise ConfigError(f"subset: expected only for a Hub dataset; found subset={subset!r} for {path}; leave it out")

    def files(self) -> list[Path]:
        """The files that are read, for their rows and for the hash in the manifest."""
        if self.is_hub:
            return []
        return sorted(Path(self.path).rglob("*.arrow")) if self.is_saved else find_files(self.path)

    def rows(self) -> Iterator[tuple[str, Mapping | Problem]]:
        """(where, row) for every row; a `Problem` stands for a row that cannot be read."""
        if self.is_hub:
            yield from read_hub(self.path, split=self.split, subset=self.subset, revision=self.card.revision)
        elif self.is_saved:
            yield from read_saved(self.path, self.split)
        else:
            for file in self.files():
                yield from read_file(file)

    def comparison(self, row: Mapping, where: str) -> Comparison | Dropped:
        """The comparison of a row.

        Raises:
            RowError: with every problem of the row.
        """
        return self.parse(row, where)

    def parse(self, row: Mapping, where: str) -> Comparison:
        """`parse_row` with this recipe's image folder, source name, and an id made of file name and row for rows without one."""
        root = os.path.dirname(where) if self.image_root is None and not self.is_hub else self.image_root
        default_id = os.path.basename(where)
        return parse_row(row, where=where, image_root=root, source=self.source, default_id=default_id, keep_ties=self.keep_ties)

    def notes(self) -> list[str]:
        """Sentences for the manifest about what this reading did or lacks."""
        return []

    def _is_hub_id(self) -> bool:
        first = self.path.split("/", 1)[0]
        return bool(_HUB_ID.fullmatch(self.path)) and not os.path.exists(first) and not Path(self.path).suffix


def _card(given: Mapping) -> Card:
    known = [item.name for item in fields(Card)]
    for key in given:
        if key not in known:
            raise ConfigError(f"card.{key}: no such field; {near_matches(str(key), known)}")
    return Card(**{key: tuple(value) if key == "quirks" else value for key, value in given.items()})


def read(recipe: Recipe, *, on_error: str = "fail") -> SourceData:
    """Reads all rows of a recipe.

    Args:
        on_error: "fail" ends with one error that lists the problems of all rows; "skip" leaves those rows out and counts them by
            their first problem.

    Returns:
        The comparisons in the order of the rows, and the account of the source: rows_read = used + the sum of dropped.

    Raises:
        BadRows: with `on_error="fail"`, when any row has a problem; otherwise when no row is left.
        DataError: the files are not there, or the recipe drops every row.
    """
    if on_error not in ON_ERROR:
        raise ConfigError(
            f"on_error: expected {' or '.join(ON_ERROR)}; found {on_error!r}; {near_matches(str(on_error), ON_ERROR)}"
        )
    comparisons, dropped, problems, num_rows = _read_rows(recipe)
    if recipe.check_images:
        broken = _image_problems(comparisons)
        problems += broken
        bad = {problem.where for problem in broken}
        comparisons = [comparison for comparison in comparisons if comparison.where not in bad]
    problems.sort(key=lambda problem: _place(problem.where))
    if problems and (on_error == "fail" or not comparisons):
        advice = "nothing was used; correct the rows"
        # The only stage that can leave rows out is training; judging on fewer rows than the file has would mislead.
        advice += ", or leave them out of training with data.on_error=skip" if on_error == "fail" else ": no other row is left"
        raise BadRows(problems, title=f"{num_rows:,} read from {recipe.path}", advice=advice)
    first_problem = {problem.where: problem for problem in reversed(problems)}
    dropped.update(problem.kind for problem in first_problem.values())
    if not comparisons:
        raise DataError(
            f"expected at least one comparison in {recipe.path}; found {counted(num_rows, 'row')}, dropped: {in_words(dropped)}; "
            "check the file"
        )
    return SourceData(comparisons, _manifest(recipe, num_rows, dropped, len(comparisons)), problems)


def _read_rows(recipe: Recipe) -> tuple[list[Comparison], Counter, list[Problem], int]:
    comparisons, dropped, problems, num_rows = [], Counter(), [], 0
    for where, row in with_progress(recipe.rows(), recipe.source or os.path.basename(recipe.path)):
        num_rows += 1
        if isinstance(row, Problem):
            problems.append(row)
            continue
        try:
            result = recipe.comparison(row, where)
        except RowError as error:
            problems += error.problems
            continue
        if isinstance(result, Dropped):
            dropped[result.reason] += 1
        else:
            comparisons.append(result)
    return comparisons, dropped, problems, num_rows


def _image_problems(comparisons: Iterable[Comparison]) -> list[Problem]:
    """Problems of the images of all comparisons; each image is decoded once, several at a time."""
    users: dict[str, list[Comparison]] = {}
    refs: dict[str, object] = {}
    for comparison in comparisons:
        for ref in comparison.images:
            key = image_key(ref)
            refs[key] = ref
            users.setdefault(key, []).append(comparison)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        errors = list(with_progress(pool.map(_image_error, refs.values()), "checking images", unit=" images"))
    return [
        Problem(error.reason, user.where, user.id, error.expected, error.found, error.advice)
        for key, error in zip(refs, errors, strict=True)
        if error is not None
        for user in users[key]
    ]


def _image_error(ref: object) -> ImageError | None:
    try:
        check_image(ref)
    except ImageError as error:
        return error
    return None


def _place(where: str) -> tuple[str, int]:
    """Sorts by file, then by number, so that line 10 comes after line 9."""
    name, _, number = where.rpartition(":")
    digits = number.removeprefix("row ")
    return (name, int(digits)) if digits.isdigit() else (where, 0)


def _manifest(recipe: Recipe, num_rows: int, dropped: Counter, used: int) -> dict:
    files = recipe.files()
    card = asdict(recipe.card)
    expected = {name: count for name, count in card.pop("rows_expected").items() if name in {file.name for file in files}}
    notes = recipe.notes()
    if expected and sum(expected.values()) != num_rows:
        notes.append(f"the card says {sum(expected.values())} rows, {num_rows} were read: the file has changed")
    counts = {"rows_read": num_rows, "dropped": dict(sorted(dropped.items())), "used": used}
    facts = {"path": recipe.path, "files": [file.name for file in files], "sha256": hash_files(files) if files else None}
    return counts | {"notes": notes} | facts | card | {"quirks": list(card["quirks"])}

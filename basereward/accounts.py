"""The rows of a recipe -> comparisons, and the account of them: every row that was read was used, or left out for a reason."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from basereward.errors import ConfigError, DataError, near_matches
from basereward.image_checks import with_image_errors
from basereward.images import ImageError
from basereward.problems import BadRows, Problem, RowError, counted, in_words
from basereward.reading import hash_files, with_progress
from basereward.recipes import IMAGE_MISSING, Dropped, Recipe
from basereward.records import Comparison
from basereward.screening import ALL_TIED

ON_ERROR = ("fail", "skip")


@dataclass(slots=True)
class Judged:
    """A row with what became of it."""

    where: str
    row: Mapping | Problem
    result: Comparison | Dropped | tuple[Problem, ...]

    @property
    def images(self) -> Sequence[object]:
        """Of the comparison, where there is one."""
        return self.result.images if isinstance(self.result, Comparison) else ()

    @property
    def reason(self) -> str | None:
        """Under which it is counted as left out: that of its first problem; None where there is a comparison."""
        if isinstance(self.result, Dropped):
            return self.result.reason
        return self.result[0].kind if isinstance(self.result, tuple) else None


def judged(recipe: Recipe, rows: Iterable[tuple[str, Mapping | Problem]]) -> Iterator[Judged]:
    """What becomes of each row, in order, with its pictures looked at: whoever reads or counts rows does it here."""
    found = (Judged(where, row, judge(recipe, row, where)) for where, row in rows)
    if not recipe.check_images:
        yield from found
        return
    for item, errors in with_image_errors(found):
        if errors:
            item.result = _of_images(recipe, item, errors)
        yield item


def judge(recipe: Recipe, row: Mapping | Problem, where: str) -> Comparison | Dropped | tuple[Problem, ...]:
    """What becomes of a row, apart from its pictures."""
    if isinstance(row, Problem):
        return (row,)
    try:
        return recipe.comparison(row, where)
    except RowError as error:
        return error.problems


def _of_images(recipe: Recipe, item: Judged, errors: list[ImageError]) -> Dropped | tuple[Problem, ...]:
    """A row is dropped for a missing image only when the rest of it is sound."""
    if recipe.on_missing_image == "drop" and all(error.reason == IMAGE_MISSING for error in errors):
        return Dropped(IMAGE_MISSING)
    it = item.result
    return tuple(Problem(error.reason, it.where, it.id, error.expected, error.found, error.advice) for error in errors)


@dataclass
class SourceData:
    """What a recipe's rows became, and the account of them."""

    comparisons: list[Comparison]
    manifest: dict
    problems: list[Problem] = field(default_factory=list)
    """Of the rows that were left out with `on_error="skip"`."""


class Reader:
    """Passes the comparisons of a recipe on one at a time; when all have passed, `manifest` and `problems` account for the rows.

    Args:
        on_error: "fail" ends, after the last row, with one error that lists the problems of all rows; "skip" leaves those rows out
            and counts them by their first problem.
        progress: shows a bar for long files.
        may_skip: whether whoever reads can leave rows out when asked to (`data.on_error=skip`), for the advice.

    Attributes:
        manifest: rows_read = used + the sum of dropped, by reason, and what is known of the source; None before the end.
        problems: of the rows left out, in the order of the rows.

    Raises:
        BadRows: with `on_error="fail"`, when any row has a problem; otherwise when no row is left.
        DataError: the files or columns are not there, or the recipe drops every row.
    """

    def __init__(self, recipe: Recipe, *, on_error: str = "fail", progress: bool = True, may_skip: bool = True) -> None:
        if on_error not in ON_ERROR:
            known = near_matches(str(on_error), ON_ERROR)
            raise ConfigError(f"on_error: expected {' or '.join(ON_ERROR)}; found {on_error!r}; {known}")
        self.recipe, self.on_error, self.progress, self.may_skip = recipe, on_error, progress, may_skip
        self.manifest: dict | None = None
        self.problems: list[Problem] = []

    def __iter__(self) -> Iterator[Comparison]:
        """The comparisons in the order of the rows; a second iteration reads again."""
        self.manifest, self.problems, self.recipe.rows_in_files = None, [], 0
        self._num_rows, self._dropped, used = 0, Counter(), 0
        self.recipe.images_in()
        rows = self.recipe.rows()
        for item in judged(self.recipe, with_progress(rows, label_of(self.recipe)) if self.progress else rows):
            self._num_rows += 1
            if item.reason is None:
                used += 1
                yield item.result
                continue
            self._dropped[item.reason] += 1
            self.problems += item.result if isinstance(item.result, tuple) else ()
        self._finish(used)

    def _finish(self, used: int) -> None:
        self.problems.sort(key=lambda problem: _place(problem.where))
        if self.problems and (self.on_error == "fail" or not used):
            # Judging on fewer rows than the file has would mislead.
            skip = (
                ", or leave them out of training with data.on_error=skip" if self.may_skip else ", or take them out of the file"
            )
            advice = "nothing was used; correct the rows" + (skip if self.on_error == "fail" else ": no other row is left")
            raise BadRows(self._advised(), title=f"{self._num_rows:,} read from {self.recipe.path}", advice=advice)
        if not used:
            found = f"{counted(self._num_rows, 'row')}, dropped: {in_words(self._dropped)}"
            advice = "; ".join(["check the file", *_image_notes(self.recipe, self._dropped)])
            raise DataError(f"expected at least one comparison in {self.recipe.path}; found {found}; {advice}")
        self.manifest = _manifest(self.recipe, self._num_rows, self._dropped, used)

    def _advised(self) -> list[Problem]:
        """The problems; where no loss learns from the rows, the advice for one that reads ties is no help."""
        if self.may_skip:
            return self.problems
        return [replace(each, advice="take the row out of the file") if each.kind == ALL_TIED else each for each in self.problems]


def read(recipe: Recipe, *, on_error: str = "fail", may_skip: bool = True) -> SourceData:
    """All comparisons of a recipe at once, with the account of `Reader`."""
    reader = Reader(recipe, on_error=on_error, may_skip=may_skip)
    comparisons = list(reader)
    return SourceData(comparisons, reader.manifest or {}, reader.problems)


def label_of(recipe: Recipe) -> str:
    """What a line of progress calls it."""
    return recipe.source or os.path.basename(recipe.path)


def _place(where: str) -> tuple[str, int]:
    """Sorts by file, then by number, so that line 10 comes after line 9."""
    name, _, number = where.rpartition(":")
    digits = number.removeprefix("row ")
    return (name, int(digits)) if digits.isdigit() else (where, 0)


def _manifest(recipe: Recipe, num_rows: int, dropped: Counter, used: int) -> dict:
    files = recipe.files()
    card = asdict(recipe.card)
    names = {file.name for file in files}
    expected = card.pop("rows_expected")
    expected = {name: n for name, n in expected.items() if name in names} or {
        n: expected[n] for n in (recipe.data.split,) if n in expected
    }
    # Recipes that make their rows themselves have read none from files.
    found = recipe.rows_in_files or num_rows
    text_only = ["text only: the images of the rows are left out"] if recipe.text_only else []
    notes = recipe.notes() + text_only + _image_notes(recipe, dropped)
    if expected and (wanted := sum(expected.values())) != found:
        # A file under a name of one's own, or a folder with some of the files, may be a sample; named files are known whole.
        why = "the file has changed" if names & {*expected} else "a part of it, if you chose one, or another state of the set"
        notes.append(f"the card counts {counted(wanted, 'row')} of {', '.join(expected)}, {found:,} were read from files: {why}")
    if found != num_rows:
        notes.append(f"several rows of a file are one here: {counted(found, 'row')} in the files, {num_rows:,} read and judged")
    counts = {"rows_read": num_rows, "rows_in_files": found, "dropped": dict(sorted(dropped.items())), "used": used}
    facts = {"path": recipe.path, "files": [file.name for file in files], "sha256": hash_files(files) if files else None}
    facts |= {"split": recipe.data.split, "subset": recipe.data.subset, "commit_read": recipe.data.commit}
    return counts | {"notes": notes} | facts | card | {"quirks": list(card["quirks"])}


def _image_notes(recipe: Recipe, dropped: Counter) -> list[str]:
    """What to do about images that were not there."""
    if not dropped[IMAGE_MISSING]:
        return []
    fetch = f"fetch them ({recipe.card.fetch_command()})" if recipe.card.hub_id else "fetch them"
    return [
        f"images are missing: {fetch} and set image_root, or read the texts alone: recipe.text_only=true, with a + before it "
        "where the YAML has no such key"
    ]

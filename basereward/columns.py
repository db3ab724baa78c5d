"""The columns that a recipe was written for, compared with a row: names and kinds, expected against found.

A kind is one of `KINDS`, "list of KIND", "{key, key}" (an object with these keys), or several with " or " between them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from basereward.errors import ConfigError, DataError, near_matches
from basereward.problems import shown

Layout = Mapping[str, str]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_image(value: object) -> bool:
    """A path, bytes, a picture, or {"bytes", "path"}."""
    return isinstance(value, str | bytes | Image.Image) or (isinstance(value, Mapping) and bool({"bytes", "path"} & set(value)))


KINDS: Mapping[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "JSON text": lambda value: isinstance(value, str) and value.lstrip()[:1] in ("{", "["),
    "number": _is_number,
    "whole number": lambda value: _is_number(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "image": _is_image,
    "object": lambda value: isinstance(value, Mapping),
    "anything": lambda value: True,
}


def fits(value: object, kind: str) -> bool:
    """Whether a value is of a kind; of a list its first item counts.

    >>> fits([{"role": "user", "content": "Hi", "name": "x"}], "list of {role, content}"), fits("3", "number or list of number")
    (True, False)
    """
    if " or " in kind:
        return any(fits(value, one) for one in kind.split(" or "))
    if kind.startswith("list of "):
        return isinstance(value, list | tuple) and (not value or fits(value[0], kind.removeprefix("list of ")))
    if kind.startswith("{"):
        return isinstance(value, Mapping) and set(kind.strip("{}").replace(" ", "").split(",")) <= set(value)
    if kind not in KINDS:
        raise ConfigError(f"columns: expected a kind of column; found {kind!r}; {near_matches(kind, KINDS)}")
    return KINDS[kind](value)


def layouts(columns: Layout | Sequence[Layout]) -> tuple[Layout, ...]:
    """The layouts of which a row must fit one; none for a recipe that takes any row."""
    return tuple(layout for layout in ((columns,) if isinstance(columns, Mapping) else columns) if layout)


def missing(row: Mapping, columns: Sequence[Layout]) -> list[str]:
    """Names that the row lacks for the layout that it comes closest to; empty when it has all of one."""
    return min(([name for name in layout if name not in row] for layout in columns), key=len, default=[])


def check_columns(row: object, columns: Sequence[Layout], *, where: str, of: str) -> None:
    """Compares the first row of a dataset with what the recipe was written for; a null fits every kind.

    Args:
        columns: any one must fit.
        where: `file:line` of the row.
        of: the recipe, its dataset and revision, for the message.

    Raises:
        DataError: with expected, found, and near matches.
    """
    if not columns:
        return
    if any(not _misfit(row, layout) for layout in columns):
        return
    names = set(row) if isinstance(row, Mapping) else set()
    closest = min(columns, key=lambda layout: len(set(layout) - names))
    expected = ", or ".join(", ".join(f"`{name}` ({kind})" for name, kind in layout.items()) for layout in columns)
    own = "read rows of your own as custom (recipe=custom; to judge on them, benchmark=custom)"
    advice = f"{own}, or take the files of the revision that this recipe was written for"
    raise DataError(f"{where}: expected the columns of {of}: {expected}; found {_misfit(row, closest)}; {advice}")


def _misfit(row: object, layout: Layout) -> str:
    """What of a row does not fit; empty when all does."""
    if not isinstance(row, Mapping):
        return shown(row)
    lacking = [name for name in layout if name not in row]
    wrong = [f"`{name}` = {shown(row[name])}, not {kind}" for name, kind in layout.items()
             if row.get(name) is not None and not fits(row[name], kind)]  # fmt: skip
    if lacking:
        spare = [str(name) for name in row if name not in layout]
        close = {name: difflib.get_close_matches(name, spare, n=1) for name in lacking}
        meant = [f"`{match[0]}` in the place of `{name}`" for name, match in close.items() if match]
        names = ", ".join(f"`{name}`" for name in lacking)
        likely = f" (perhaps {', '.join(meant)})" if meant else ""
        wrong.insert(0, f"no {names} among the columns {', '.join(map(str, row)) or '(none)'}{likely}")
    return "; ".join(wrong)

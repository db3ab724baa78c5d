"""Any JSON -> tables: for numbers that a benchmark or a diagnosis calls its own, whatever they are."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from basereward.report.markup import DASH, MINUS, Html, is_number, join, table, tag

# Deeper than this, what is left is shown as it stands in the file.
MAX_DEPTH = 4
# Rows of a list that are shown; a page is not the file.
MAX_ROWS = 60

Made = TypeVar("Made")

logger = logging.getLogger(__name__)


def values(found: Mapping[str, object], caption: str, depth: int = 0) -> Html:
    """What a mapping holds: its single values as one table, every group in it as a table of its own.

    Args:
        caption: what it is, for those who hear the page.
    """
    if _is_flat(found):
        return _matrix(found, caption, has_names=True)
    single = [(_words(key), cell(value)) for key, value in found.items() if not _is_group(value)]
    parts = [table(("", "value"), single, caption=caption, numbers=(1,) if _all_short(single) else ())] if single else []
    for key, value in found.items():
        if _is_group(value):
            parts += [tag("h4", _words(key)), _group(value, f"{caption}: {_words(key)}", depth + 1)]
    return join(parts)


def cell(value: object) -> str:
    """A value in few characters.

    >>> cell(0.123456), cell(12345), cell([0.5, 0.75]), cell(None), cell(True)
    ('0.1235', '12,345', '0.5 to 0.75', '–', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        return (f"{value:,}" if isinstance(value, int) else f"{value:.4g}").replace("-", MINUS)
    if value is None or isinstance(value, float):
        return DASH
    if isinstance(value, Sequence) and not isinstance(value, str):
        return (" to " if _is_span(value) else ", ").join(map(cell, value)) if value else DASH
    return str(value)


def if_fits(make: Callable[..., Made | None], *found: Any) -> Made | None:
    """What is made of content of a file; None, with a line in the log, where the file is not of the shape that is expected."""
    try:
        return make(*found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        logger.warning("%s: %s: %s; the report leaves it out", make.__name__, type(error).__name__, error)
        return None


def _is_span(value: object) -> bool:
    """Whether it is an interval."""
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(end, float) for end in value)


def _is_group(value: object) -> bool:
    """Whether it needs a table of its own."""
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(entry, Mapping) for entry in value)


def _group(value: object, caption: str, depth: int) -> Html:
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return values(value, caption, depth)
    rows = dict(enumerate(value, 1)) if not isinstance(value, Mapping) else {}
    return _matrix(rows, caption, has_names=False) if _is_flat(rows) else tag("pre", str(value), tabindex="0")


def _is_flat(rows: Mapping[object, object]) -> bool:
    """Whether each is a mapping of single values: a row of one table."""
    flat = (isinstance(row, Mapping) and not any(map(_is_group, row.values())) for row in rows.values())
    return bool(rows) and all(flat)


def _matrix(rows: Mapping[object, Mapping[str, object]], caption: str, *, has_names: bool) -> Html:
    """A row for each entry, a column for each key that any of them has."""
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    shown = [(_words(name) if has_names else str(name), *(cell(row.get(key)) for key in keys)) for name, row in rows.items()]
    right = [
        k for k, key in enumerate(keys, 1) if any(is_number(row.get(key)) or _is_span(row.get(key)) for row in rows.values())
    ]
    content = table(("", *map(_words, keys)), shown[:MAX_ROWS], caption=caption, numbers=right, sortable=True)
    left = len(shown) - MAX_ROWS
    return join([content, tag("p", f"and {left:,} more rows in the file", class_="hint") if left > 0 else None])


def _all_short(rows: Sequence[tuple[str, str]]) -> bool:
    return all(len(value) < 24 for _, value in rows)


def short_version(version: object) -> str:
    """The version of a benchmark in few characters; a hash is in full in its file.

    >>> short_version("1 (seed 0)"), short_version("sha256:" + 64 * "a")
    ('1 (seed 0)', 'sha256:aaaaaaaaaaaa')
    """
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1", str(version))


def _words(key: object) -> str:
    return str(key).replace("_", " ") or "(none)"

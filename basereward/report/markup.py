"""Text and tags -> HTML. Text is escaped unless it was made here, so what comes from data can never become markup."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_VOID = {"img", "source", "br", "input"}


class Html(str):
    """Markup made by `tag`; any other string is text."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        children: `Html` stands as it is; anything else is turned into text and escaped; None and "" add nothing.
        attributes: `class_` for class, `aria_label` for aria-label; None leaves one out, True writes its name alone.

    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    return Html(f"<{opening}>") if name in _VOID else Html(f"<{opening}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Html:
    """Several children after one another."""
    return Html("".join(child if isinstance(child, Html) else _escaped(child) for child in children if child is not None))


def _attribute(key: str, value: object) -> str:
    key = key.rstrip("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{_escaped(value)}"'


def _escaped(value: object) -> str:
    return html.escape(clean(str(value)))


def clean(text: str) -> str:
    r"""Text that any file and page can hold: lone surrogates and control characters are written out.

    >>> clean("a\ud800b\x00c\n")
    'a\\ud800b\\x00c\n'
    """
    if text.isprintable():
        return text
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(char if char.isprintable() or char in "\n\t" or ord(char) >= 0xA0 else f"\\x{ord(char):02x}" for char in text)


def number(value: object, digits: int = 3, *, signed: bool = False) -> str:
    """A number with that many decimals and thousands apart; a dash for what is absent or not finite.

    >>> number(1234.5, 1), number(-0.25, 2), number(-0.001, 2), number(float("nan")), number(None)
    ('1,234.5', '−0.25', '0.00', '–', '–')
    """
    if not is_number(value):
        return DASH
    rounded = round(value, digits) + 0.0  # no minus before zeros
    return f"{rounded:{'+' if signed else ''},.{digits}f}".replace("-", MINUS)


def percent(value: object) -> str:
    """A share as a percentage with one decimal, or a dash."""
    return f"{100 * value:.1f}%" if is_number(value) else DASH


def short(value: object) -> str:
    """A count in at most four digits: 12,300,000 is 12.3 M."""
    if not is_number(value):
        return DASH
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == ' k' else size):.3g}{unit}"
    return f"{value:,.0f}"


def is_number(value: object) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def table(
    head: Iterable[str],
    rows: Iterable[Iterable[object]],
    *,
    caption: str,
    numbers: Iterable[int] = (),
    total: Iterable[object] | None = None,
    marked: Iterable[int] = (),
    sortable: bool = False,
) -> Html:
    """A table that scrolls sideways by itself where the screen is narrow.

    Args:
        head: names of the columns; the first cell of every row names the row.
        caption: what the table shows; read out, not shown.
        numbers: columns that are set right-aligned.
        total: a last row, which sorting leaves where it is.
        marked: numbers of rows that are set off from the others.
        sortable: whether the page's script makes the head sort the rows.
    """
    head, right, apart = list(head), set(numbers), set(marked)
    style = ["num" if column in right else None for column, _ in enumerate(head)]

    def cells(row: Iterable[object], kind: str | None = None) -> Html:
        found = (tag("td" if k else "th", cell, class_=style[k], scope=None if k else "row") for k, cell in enumerate(row))
        return tag("tr", *found, class_=kind)

    body = [cells(row, "marked" if place in apart else None) for place, row in enumerate(rows)]
    foot = tag("tfoot", cells(total)) if total is not None else None
    titles = tag("tr", *(tag("th", cell, class_=style[k], scope="col") for k, cell in enumerate(head)))
    sorts = "sortable" if sortable and len(body) > 1 else None
    content = tag("table", tag("caption", caption), tag("thead", titles), tag("tbody", *body), foot, class_=sorts)
    return tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)


def notice(text: str) -> Html:
    """A sentence that should not be overlooked."""
    return tag("p", text, class_="notice")


def folded(summary: str, content: Html) -> Html:
    """Something that unfolds on a click, without scripts."""
    return tag("details", tag("summary", summary), content)

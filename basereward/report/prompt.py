"""What cards of all pages share: the pictures and turns of a prompt, texts that unfold, and the letters of responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from typing import Any

from basereward.report.markup import Html, tag

# Longer texts are cut here on the page; the rest unfolds.
LONG_TEXT = 500
# A question up to this length stands out; a page of bold text would not be read.
SHORT_QUESTION = 160
PREFERRED, REJECTED, BETWEEN, UNRANKED = "preferred", "rejected", "in between", "not compared"


def prompt(entry: Mapping[str, Any], limit: int | None = None) -> Html:
    """Pictures and turns.

    Args:
        entry: with what `entries.describe` gives.
        limit: of `unfolding`, for each turn.
    """
    pictures = [_picture(picture, place, entry) for place, picture in enumerate(entry["pictures"], start=1)]
    if entry.get("more_pictures"):
        pictures.append(tag("p", f"and {entry['more_pictures']:,} more", class_="missing"))
    return tag("div", tag("div", *pictures, class_="pictures") if pictures else None, _turns(entry, limit), class_="prompt")


def name_responses(entry: Mapping[str, Any]) -> dict[int, str]:
    """Index of a response -> its letter; A is the one the label likes best."""
    wins = [0] * len(entry["responses"])
    for pair in entry["pairs"]:
        wins[pair["better"]] += 1
        wins[pair["worse"]] -= 1
    order = sorted(range(len(wins)), key=lambda index: -wins[index])
    return {index: chr(ord("A") + place) if place < 26 else str(place + 1) for place, index in enumerate(order)}


def standing(entry: Mapping[str, Any], index: int) -> str:
    """What the label says of a response."""
    better = any(pair["better"] == index for pair in entry["pairs"])
    worse = any(pair["worse"] == index for pair in entry["pairs"])
    return BETWEEN if better and worse else PREFERRED if better else REJECTED if worse else UNRANKED


def _num_pictures(entry: Mapping[str, Any]) -> int:
    return len(entry["pictures"]) + entry.get("more_pictures", 0)


def _picture(picture: Mapping[str, Any], place: int, entry: Mapping[str, Any]) -> Html:
    several = _num_pictures(entry) > 1
    caption = tag("figcaption", f"picture {place}") if several else None
    if "problem" in picture:
        return tag("figure", tag("p", f"picture not shown: {picture['problem']}", class_="missing"), caption)
    width, height = picture["shown"]
    alt = f"Picture {place} of {_num_pictures(entry)} of {entry['id']}, {picture['size'][0]} x {picture['size'][1]} pixels"
    return tag("figure", tag("img", src=picture["uri"], alt=alt, width=width, height=height), caption)


def _turns(entry: Mapping[str, Any], limit: int | None) -> Html:
    """All turns; who speaks is said where there is more than the user's question."""
    turns, numbers = [], count(1)
    for turn in entry["turns"]:
        parts = [tag("span", f"picture {next(numbers)}", class_="marker") if part is None else part for part in turn["parts"]]
        leading = sum(1 for _ in takewhile(lambda part: part is None, turn["parts"]))
        if leading == _num_pictures(entry) < len(parts):
            del parts[:leading]  # all pictures before the text: the card shows just that
        role = tag("span", turn["role"], class_="role") if len(entry["turns"]) > 1 else None
        is_short = sum(len(part or "") for part in turn["parts"]) <= SHORT_QUESTION
        style = "turn asked" if turn["role"] == "user" and is_short else "turn"
        turns.append(tag("div", role, *unfolding(parts, limit), class_=style, dir="auto"))
    return tag("div", *turns, class_="turns")


def unfolding(parts: list[object], limit: int | None = None) -> Iterator[Html]:
    """Text and markers as one paragraph; a long text is cut and unfolds.

    Args:
        limit: characters of the folded rest after which it ends, with a word about how many were left out; none when None.
    """
    shown, rest, room = [], [], LONG_TEXT
    for part in parts:
        if isinstance(part, Html):
            (shown if room else rest).append(part)
            continue
        shown.append(part[:room])
        rest += [part[room:]] if part[room:] else []
        room = max(0, room - len(part))
    yield tag("p", *shown) if shown else tag("p", tag("em", "(empty)"))
    if rest:
        length = sum(len(part) for part in rest if not isinstance(part, Html))
        yield tag("details", tag("summary", f"{length:,} more characters"), tag("p", *_ended(rest, limit)))


def _ended(parts: list[object], limit: int | None) -> list[object]:
    """The parts up to `limit` characters; what is left out is counted in markup of our own, which no text can imitate."""
    shown, room = [], limit
    for part in parts:
        if room is None or isinstance(part, Html):
            shown.append(part)
            continue
        shown.append(part[:room])
        room = max(0, room - len(part))
    left = sum(map(_num_chars, parts)) - sum(map(_num_chars, shown))
    return [*shown, tag("em", f" ({left:,} more are not on this page)")] if left else shown


def _num_chars(part: object) -> int:
    return 0 if isinstance(part, Html) else len(part)

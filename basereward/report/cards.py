"""One scored comparison of `report.json` -> its card: pictures, question, answers with their rewards, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, takewhile
from typing import Any

from basereward.report.markup import Html, is_number, number, tag

# Longer texts are cut here on the page; the rest unfolds.
LONG_TEXT = 500
# A question up to this length stands out; a page of bold text would not be read.
SHORT_QUESTION = 160
SIGNS = {"right": "\N{CHECK MARK}", "wrong": "\N{MULTIPLICATION X}", "tie": "="}
PREFERRED, REJECTED, BETWEEN, UNRANKED = "preferred", "rejected", "in between", "not compared"


def card(entry: Mapping[str, Any], scale: float) -> Html:
    """One comparison.

    Args:
        entry: of `gallery.entry`.
        scale: the reward difference that fills a bar.
    """
    letters = name_responses(entry)
    pictures = [_picture(picture, place, entry) for place, picture in enumerate(entry["pictures"], start=1)]
    chips = (tag("span", text, class_="chip") for text in (entry["category"], entry["source"]) if text)
    return tag(
        "article",
        tag("header", verdict(entry["verdict"]), *chips),
        tag("div", tag("div", *pictures, class_="pictures") if pictures else None, _turns(entry), class_="prompt"),
        tag("ol", *(_response(entry, index, letter, scale) for index, letter in letters.items()), class_="responses"),
        _pairs(entry, letters),
        tag("footer", entry["id"]),
        class_=f"card {entry['verdict']}",
    )


def verdict(word: str) -> Html:
    """Right, wrong or tie: by sign and word, and by colour."""
    return tag("span", tag("span", SIGNS[word], aria_hidden="true"), f" {word}", class_=f"verdict {word}")


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


def _picture(picture: Mapping[str, Any], place: int, entry: Mapping[str, Any]) -> Html:
    several = len(entry["pictures"]) > 1
    caption = tag("figcaption", f"picture {place}") if several else None
    if "problem" in picture:
        return tag("figure", tag("p", f"picture not shown: {picture['problem']}", class_="missing"), caption)
    width, height = picture["shown"]
    alt = f"Picture {place} of {len(entry['pictures'])} of {entry['id']}, {picture['size'][0]} x {picture['size'][1]} pixels"
    return tag("figure", tag("img", src=picture["uri"], alt=alt, width=width, height=height), caption)


def _turns(entry: Mapping[str, Any]) -> Html:
    """All turns; who speaks is said where there is more than the user's question."""
    turns, numbers = [], count(1)
    for turn in entry["turns"]:
        parts = [tag("span", f"picture {next(numbers)}", class_="marker") if part is None else part for part in turn["parts"]]
        leading = sum(1 for _ in takewhile(lambda part: part is None, turn["parts"]))
        if leading == len(entry["pictures"]) < len(parts):
            del parts[:leading]  # all pictures before the text: the card shows just that
        role = tag("span", turn["role"], class_="role") if len(entry["turns"]) > 1 else None
        is_short = sum(len(part or "") for part in turn["parts"]) <= SHORT_QUESTION
        style = "turn asked" if turn["role"] == "user" and is_short else "turn"
        turns.append(tag("div", role, *_text(parts), class_=style, dir="auto"))
    return tag("div", *turns, class_="turns")


def _text(parts: list[object]) -> Iterator[Html]:
    """Text and markers as one paragraph; a long text is cut and unfolds."""
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
        yield tag("details", tag("summary", f"{length:,} more characters"), tag("p", *rest))


def _response(entry: Mapping[str, Any], index: int, letter: str, scale: float) -> Html:
    reward, place = entry["rewards"][index], standing(entry, index)
    known = [value for value in entry["rewards"] if is_number(value)]
    share = (reward - min(known)) / scale if is_number(reward) and scale > 0 else 0.0
    head = tag(
        "div",
        tag("b", letter),
        tag("span", place, class_=f"standing {place.replace(' ', '-')}"),
        tag("span", tag("span", "reward ", class_="unseen"), number(reward, signed=True), class_="reward"),
        class_="head",
    )
    fill = tag("i", style=f"width:{100 * share:.1f}%", class_="best" if place == PREFERRED else None)
    bar = tag("div", fill, class_="bar", aria_hidden="true")
    return tag("li", head, bar, tag("div", *_text([text] if (text := entry["responses"][index]) else []), dir="auto"))


def _pairs(entry: Mapping[str, Any], letters: Mapping[int, str]) -> Html:
    """The reward difference of each pair, and what it means."""
    order = sorted(entry["pairs"], key=lambda pair: (letters[pair["better"]], letters[pair["worse"]]))
    items = []
    for pair in order:
        text = f"{letters[pair['better']]} over {letters[pair['worse']]}: {number(pair['margin'], signed=True)} "
        items.append(tag("li", text, verdict(pair["verdict"])))
    return tag("ul", *items, class_="pairs")

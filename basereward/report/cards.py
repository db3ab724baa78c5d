"""One scored comparison of `report.json` -> its card: pictures, question, answers with their rewards, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from basereward.report.markup import Html, is_number, number, tag
from basereward.report.prompt import PREFERRED, name_responses, prompt, standing, unfolding

SIGNS = {"right": "\N{CHECK MARK}", "wrong": "\N{MULTIPLICATION X}", "tie": "="}


def card(entry: Mapping[str, Any], scale: float, place: int = 0) -> Html:
    """One comparison.

    Args:
        entry: of `gallery.entry`.
        scale: the reward difference that fills a bar.
        place: of the card on the page, from which the script sorts.
    """
    letters = name_responses(entry)
    chips = [tag("span", text, class_="chip") for text in (entry["category"], entry["source"]) if text]
    if entry.get("model"):
        chips.append(tag("span", f"rewards of {entry['model']}", class_="chip"))
    return tag(
        "article",
        tag("header", verdict(entry["verdict"]), *chips),
        prompt(entry),
        tag("ol", *(_response(entry, index, letter, scale) for index, letter in letters.items()), class_="responses"),
        _pairs(entry, letters),
        _views(entry),
        tag("footer", entry["id"]),
        class_=f"card {entry['verdict']}",
        data_place=str(place),
        data_margin=str(_lowest(entry)),
        **{f"data_{key}": entry.get(key) or None for key in ("verdict", "category", "source", "pattern")},
    )


def _lowest(entry: Mapping[str, Any]) -> float:
    """The smallest margin of a comparison; a pair without numbers is below all."""
    return min((pair["margin"] if is_number(pair["margin"]) else -1e300 for pair in entry["pairs"]), default=0.0)


def _views(entry: Mapping[str, Any]) -> Html | None:
    """What other models say of the same comparison, on a page that compares them: the smallest difference of each."""
    if not entry.get("views"):
        return None
    items = (
        tag("li", f"{view['run']}: {number(view['margin'], signed=True)} ", verdict(view["verdict"])) for view in entry["views"]
    )
    return tag("ul", *items, class_="pairs views")


def verdict(word: str) -> Html:
    """Right, wrong or tie: by sign and word, and by colour."""
    return tag("span", tag("span", SIGNS[word], aria_hidden="true"), f" {word}", class_=f"verdict {word}")


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
    return tag("li", head, bar, tag("div", *unfolding([text] if (text := entry["responses"][index]) else []), dir="auto"))


def _pairs(entry: Mapping[str, Any], letters: Mapping[int, str]) -> Html:
    """The reward difference of each pair, and what it means."""
    order = sorted(entry["pairs"], key=lambda pair: (letters[pair["better"]], letters[pair["worse"]]))
    items = []
    for pair in order:
        text = f"{letters[pair['better']]} over {letters[pair['worse']]}: {number(pair['margin'], signed=True)} "
        items.append(tag("li", text, verdict(pair["verdict"])))
    return tag("ul", *items, class_="pairs")

"""One scored comparison of `report.json` -> its card: pictures, question, answers with their rewards, and whether they agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from basereward.report.markup import Html, is_number, number, tag
from basereward.report.prompt import PREFERRED, name_responses, prompt, standing, unfolding

SIGNS = {"right": "\N{CHECK MARK}", "wrong": "\N{MULTIPLICATION X}", "tie": "="}


def card(entry: Mapping[str, Any], scale: float) -> Html:
    """One comparison.

    Args:
        entry: of `gallery.entry`.
        scale: the reward difference that fills a bar.
    """
    letters = name_responses(entry)
    chips = (tag("span", text, class_="chip") for text in (entry["category"], entry["source"]) if text)
    return tag(
        "article",
        tag("header", verdict(entry["verdict"]), *chips),
        prompt(entry),
        tag("ol", *(_response(entry, index, letter, scale) for index, letter in letters.items()), class_="responses"),
        _pairs(entry, letters),
        tag("footer", entry["id"]),
        class_=f"card {entry['verdict']}",
    )


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

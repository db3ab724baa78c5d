"""One comparison with its label -> its card: pictures, conversation, responses side by side, what the label says, where it stands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from basereward.problems import counted
from basereward.records import Comparison
from basereward.report.entries import describe
from basereward.report.markup import Html, folded, number, tag
from basereward.report.prompt import UNRANKED, name_responses, prompt, standing, unfolding
from basereward.show.sample import own_source
from basereward.show.source import Shown

# What one card shows at most; the rest is counted, so that a hostile row cannot make a page that no browser opens.
MAX_PICTURES = 8
MAX_CHARS = 20_000
OPEN_RESPONSES = 6
MAX_RESPONSES = 24
MAX_PAIRS = 24


def card(shown: Shown) -> Html:
    """One comparison."""
    item = shown.comparison
    entry = describe(item, max_pictures=MAX_PICTURES) | {"pairs": [{"better": p.better, "worse": p.worse} for p in item.pairs]}
    letters = name_responses(entry)
    responses = [_response(shown, entry, index, letter) for index, letter in list(letters.items())[:MAX_RESPONSES]]
    first, rest = responses[:OPEN_RESPONSES], responses[OPEN_RESPONSES:]
    return tag(
        "article",
        tag("header", *_chips(item)),
        prompt(entry, MAX_CHARS),
        tag("ol", *first, class_="responses"),
        folded(f"{counted(len(rest), 'more response')}", tag("ol", *rest, class_="responses")) if rest else None,
        _left_out(len(letters) - len(responses), "response"),
        _label(item, letters),
        tag("footer", " \N{MIDDLE DOT} ".join(_place(shown)), dir="auto"),
        class_="card row",
    )


def _chips(item: Comparison) -> Iterator[Html]:
    facts = [own_source(item), item.category, counted(len(item.responses), "response")]
    facts += [counted(len(item.images), "picture")] if item.images else []
    facts += [f"weight {item.weight:g}"] if item.weight != 1 else []
    for text in facts:
        if text:
            yield tag("span", text, class_="chip")


def _response(shown: Shown, entry: dict[str, Any], index: int, letter: str) -> Html:
    """A response under what the label says of it."""
    item, place = shown.comparison, standing(entry, index)
    if place == UNRANKED and any(index in tie for tie in item.ties):
        place = "tied"
    facts = [f"rank {item.ranks[index]}"] if item.ranks is not None else []
    facts += [f"score {number(item.scores[index], 2)}"] if item.scores is not None else []
    facts.append(_length(item.responses[index], shown.tokens[1][index] if shown.tokens else None))
    head = tag(
        "div",
        tag("b", letter),
        tag("span", place, class_=f"standing {place.replace(' ', '-')}"),
        tag("span", ", ".join(facts), class_="measure"),
        class_="head",
    )
    text = entry["responses"][index]
    body = tag("div", *unfolding([text] if text else [], MAX_CHARS), dir="auto")
    return tag("li", head, body, class_=place.replace(" ", "-"))


def _length(text: str, tokens: int | None) -> str:
    return counted(len(text), "character") + (f", {counted(tokens, 'token')}" if tokens is not None else "")


def _label(item: Comparison, letters: dict[int, str]) -> Html | None:
    """Every pair with what is known beside its order, then the ties; None for a bare pair, of which the responses say it all."""
    order = sorted(item.pairs, key=lambda pair: (list(letters).index(pair.better), list(letters).index(pair.worse)))
    said = [f"{letters[pair.better]} over {letters[pair.worse]}{_extras(pair)}" for pair in order[:MAX_PAIRS]]
    said += [f"{letters[a]} = {letters[b]}" for a, b in item.ties[:MAX_PAIRS]]
    more = max(0, len(item.pairs) - MAX_PAIRS) + max(0, len(item.ties) - MAX_PAIRS)
    said += [f"and {more:,} more"] if more else []
    if said == ["A over B"]:
        return None
    return tag("ul", *(tag("li", text) for text in said), class_="pairs")


def _extras(pair: Any) -> str:
    """Margin, probability and weight, where they are not what they are without being given."""
    given = (("margin", pair.margin, 0.0), ("probability", pair.probability, 1.0), ("weight", pair.weight, 1.0))
    facts = [f"{name} {number(value, 3)}" for name, value, default in given if value != default]
    return f" ({', '.join(facts)})" if facts else ""


def _left_out(count: int, noun: str) -> Html | None:
    return tag("p", f"{counted(count, f'more {noun}')} not on this page", class_="hint") if count else None


def _place(shown: Shown) -> Iterator[str]:
    item = shown.comparison
    if item.id not in (item.where, os.path.basename(item.where)):  # rows without an id are named after their place
        yield item.id
    yield item.where
    characters = sum(len(part.get("text", "")) for turn in item.messages for part in turn["content"])
    tokens = f", {counted(shown.tokens[0], 'token')}" if shown.tokens else ""
    yield f"prompt: {counted(characters, 'character')}{tokens}"

"""What `gallery.gallery` kept -> cards, mistakes first, with tools to filter and sort them where the page's script runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from basereward.report.cards import card
from basereward.report.markup import Html, is_number, join, tag

# Fewer cards than this are seen at a glance.
TOOLS_FROM = 4
# Keys of an entry that can be filtered by, and what they are called.
LISTS = {"verdict": "outcome", "category": "category", "source": "source", "pattern": "agreement"}


def gallery_section(shown: Mapping[str, Any], model: str = "the final model") -> Html:
    """A few comparisons as the model saw them."""
    mistakes, others = shown.get("mistakes") or [], shown.get("others") or []
    entries = [*mistakes, *others]
    if not entries:
        return tag("p", "No comparisons were scored for this page.", class_="empty")
    words = (
        f"{shown['num_scored']:,} {shown['split']} comparisons were scored with {model}: "
        f"{shown['right']:,} right in every pair, {shown['wrong']:,} wrong in some, {shown['tie']:,} with ties and no mistake. "
        "The largest mistakes and ties come first and are shown more often than they happen; then right ones from all categories. "
        "A bar shows how far a reward lies above the lowest of its comparison, on one scale."
    )
    return join([tag("p", words, class_="hint"), card_list(entries)])


def card_list(entries: Sequence[Mapping[str, Any]]) -> Html:
    """Cards on one scale, with their tools."""
    scale = max(map(_reach, entries))
    cards = tag("div", *(card(entry, scale, place) for place, entry in enumerate(entries)), class_="cards")
    return tag("div", _tools(entries) if len(entries) >= TOOLS_FROM else None, cards, class_="gallery")


def _tools(entries: Sequence[Mapping[str, Any]]) -> Html:
    """Hidden until the script, which they need, shows them."""
    orders = {
        "place 1": "as judged: mistakes first",
        "margin 1": "lowest difference first",
        "margin -1": "highest difference first",
    }
    parts = [tag("label", tag("span", "words", class_="unseen"), tag("input", type="search", placeholder="words in it"))]
    for key, title in LISTS.items():
        found = sorted({entry[key] for entry in entries if entry.get(key)})
        if len(found) > 1:
            parts.append(_list(title, {"": f"any {title}"} | {name: name for name in found}, data_key=key))
    parts.append(_list("order", orders, data_order=True))
    return tag("form", *parts, tag("output", aria_live="polite"), class_="tools", hidden=True)


def _list(title: str, options: Mapping[str, str], **attributes: object) -> Html:
    choices = (tag("option", name, value=value) for value, name in options.items())
    return tag("label", tag("span", title, class_="unseen"), tag("select", *choices, **attributes))


def _reach(entry: Mapping[str, Any]) -> float:
    """From the lowest to the highest reward of a comparison."""
    rewards = [reward for reward in entry["rewards"] if is_number(reward)]
    return max(rewards) - min(rewards) if rewards else 0.0

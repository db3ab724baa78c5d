"""Runs that were judged on the same items -> how often each is right where another is not, and such items with their pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.report.gallery import WRONG, verdict_of
from basereward.report.gallery_section import card_list
from basereward.report.markup import Html, folded, is_number, join, table, tag
from basereward.report.run_files import Evaluation
from basereward.samples import Sample

NOBODY, ALL = "nobody", "all"
# Cards of one benchmark; galleries of runs overlap.
MAX_CARDS = 24
CARDS = (
    "Items that one of them got wrong, with the smallest reward difference of each model. The rewards beside the answers are of the model "
    "that the card names."
)


def mistakes(judged: Mapping[tuple[str, str], Mapping[str, Evaluation]]) -> Html:
    """For each benchmark that at least two of the runs were judged on: the counts, and cards."""
    parts = []
    for (name, _), found in judged.items():
        with_samples = {run: each for run, each in found.items() if each.samples}
        if len(with_samples) > 1:
            parts += [tag("h3", name), *_benchmark(name, with_samples)]
    return join(parts) if parts else tag("p", "No two of them were judged on the same items.", class_="empty")


def _benchmark(name: str, found: Mapping[str, Evaluation]) -> Iterator[Html]:
    margins = {run: {sample.id: lowest_margin(sample) for sample in each.samples} for run, each in found.items()}
    shared = [sample.id for sample in next(iter(found.values())).samples if all(sample.id in of for of in margins.values())]
    patterns = Counter(pattern(margins, item) for item in shared)
    rows = [(words, f"{count:,}", f"{100 * count / len(shared):.1f}%") for words, count in patterns.most_common()]
    head = ("who is right in every pair", "items", "share")
    yield table(head, rows, caption=f"Who is right where on {name}", numbers=(1, 2), sortable=True)
    entries = list(_entries(found, margins))
    if entries:
        yield folded(
            f"{len(entries)} items of {name} that some got wrong", join([tag("p", CARDS, class_="hint"), card_list(entries)])
        )


def pattern(margins: Mapping[str, Mapping[str, float | None]], item: str) -> str:
    """Which runs are right about an item, in words."""
    right = [run for run, of in margins.items() if (of[item] or 0.0) > 0]
    return ALL if len(right) == len(margins) else ", ".join(right) or NOBODY


def lowest_margin(sample: Sample) -> float | None:
    """The smallest reward difference of the sample's pairs; None where it was not scored."""
    if sample.rewards is None:
        return None
    found = [sample.rewards[better] - sample.rewards[worse] for better, worse in sample.pairs]
    return min(found, default=None) if all(map(is_number, found)) else None


def _entries(found: Mapping[str, Evaluation], margins: Mapping[str, Mapping[str, float | None]]) -> Iterator[Mapping[str, Any]]:
    """What the galleries of the runs hold of items that some run got wrong, in turns, each item once."""
    lists = [
        [dict(entry) | {"model": run} for key in ("mistakes", "others") for entry in each.gallery.get(key) or ()]
        for run, each in found.items()
    ]
    seen: set[str] = set()
    for entry in _in_turns(lists):
        item = entry["id"]
        if item in seen or len(seen) >= MAX_CARDS or not all(item in of for of in margins.values()):
            continue
        if (words := pattern(margins, item)) == ALL:
            continue
        seen.add(item)
        views = [{"run": run, "margin": of[item], "verdict": _verdict(of[item])} for run, of in margins.items()]
        yield entry | {"views": views, "pattern": f"right: {words}"}


def _verdict(margin: float | None) -> str:
    return WRONG if margin is None else verdict_of(margin)


def _in_turns(lists: Sequence[Sequence[Any]]) -> Iterator[Any]:
    for place in range(max(map(len, lists), default=0)):
        yield from (entries[place] for entries in lists if place < len(entries))

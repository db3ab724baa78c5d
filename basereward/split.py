"""Which comparisons are set apart for validation, and what every comparison is called."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from basereward.problems import counted
from basereward.records import Comparison, image_key

log = logging.getLogger(__name__)


def split_by_group(
    comparisons: Sequence[Comparison], *, fraction: float, maximum: int, seed: int
) -> tuple[list[Comparison], list[Comparison]]:
    """(train, validation), each in the order given; no group is in both.

    Validation has min(fraction * n, maximum) comparisons, at least 1 if there are two groups, and fewer where whole groups
    do not add up to that.
    """
    groups: dict[str, list[Comparison]] = {}
    for item in comparisons:
        groups.setdefault(item.group, []).append(item)
    target = min(max(1, round(fraction * len(comparisons))), maximum) if fraction > 0 else 0
    order = sorted(groups, key=lambda name: (_draw(groups[name][0], seed), name))
    chosen: set[str] = set()
    room = target if len(groups) > 1 else 0
    for name in order:
        if len(groups[name]) <= room and len(chosen) < len(groups) - 1:
            chosen.add(name)
            room -= len(groups[name])
    if not chosen and room:
        chosen = {min(order, key=lambda name: len(groups[name]))}
    if not chosen and target:
        log.warning(
            "%s with one prompt: none is set apart for validation; give data.val", counted(len(comparisons), "comparison")
        )
    return [item for item in comparisons if item.group not in chosen], [item for item in comparisons if item.group in chosen]


def make_ids_unique(comparisons: Iterable[Comparison]) -> tuple[list[Comparison], int]:
    """The comparisons with a #2, #3, ... after an id that came before, in the order given; and how many were renamed."""
    comparisons = list(comparisons)
    taken = {item.id for item in comparisons}
    seen: dict[str, int] = {}
    result = []
    for item in comparisons:
        count = seen[item.id] = seen.get(item.id, 0) + 1
        name = item.id if count == 1 else f"{item.id}#{count}"
        while count > 1 and name in taken:
            count += 1
            name = f"{item.id}#{count}"
        seen[item.id] = count
        taken.add(name)
        result.append(item if name == item.id else replace(item, id=name))
    return result, sum(old is not new for old, new in zip(comparisons, result, strict=True))


def _draw(item: Comparison, seed: int) -> str:
    """A hash that orders the groups. Paths count by file name alone, so that the split does not depend on where the data lie."""
    images = [os.path.basename(ref) if isinstance(ref, str) else image_key(ref) for ref in item.images]
    text = json.dumps([seed, item.messages, images])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

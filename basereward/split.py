"""Which comparisons are set apart for validation, and what every comparison is called; decided on names and hashes alone."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable

import numpy as np

from basereward.problems import counted

log = logging.getLogger(__name__)


def set_apart(groups: np.ndarray, *, fraction: float, maximum: int, seed: int) -> np.ndarray:
    """Which comparisons validate, as an (n,) mask; a group is on one side.

    They are min(fraction * n, maximum), at least 1 if there are two groups, and fewer where whole groups do not add up to that.

    Args:
        groups: (n,) names of groups, made of what prompts and pictures hold; the seed orders the groups by them.
    """
    target = min(max(1, round(fraction * len(groups))), maximum) if fraction > 0 else 0
    names, sizes = np.unique(groups, return_counts=True)
    chosen = np.zeros(len(names), dtype=bool)
    room = target if len(names) > 1 else 0
    order = _order(names, seed) if room else ()
    left = len(names) - 1  # one group stays to train on
    for k in order:
        if sizes[k] <= room and left:
            chosen[k], room, left = True, room - sizes[k], left - 1
        if not room:
            break
    if room and not chosen.any():
        chosen[min(order, key=lambda k: sizes[k])] = True
    if target and not chosen.any():
        log.warning("%s with one prompt: none is set apart for validation; give data.val", counted(len(groups), "comparison"))
    return chosen[np.searchsorted(names, groups)]


def new_names(ids: Iterable[str]) -> dict[int, str]:
    """Number -> name of the ids that came before, in the order given: #2, #3, ... after the id.

    >>> new_names(["a", "b", "a", "a"])
    {2: 'a#2', 3: 'a#3'}
    """
    ids = list(ids)
    taken = set(ids)
    if len(taken) == len(ids):
        return {}
    seen: dict[str, int] = {}
    names: dict[int, str] = {}
    for number, name in enumerate(ids):
        count = seen[name] = seen.get(name, 0) + 1
        if count == 1:
            continue
        while f"{name}#{count}" in taken:
            count += 1
        seen[name] = count
        names[number] = f"{name}#{count}"
        taken.add(names[number])
    return names


def _order(names: np.ndarray, seed: int) -> list[int]:
    """The groups in the order in which they are asked: by a hash of seed and content, the same whatever the order of the rows."""
    draws = [hashlib.blake2b(b"%d:%s" % (seed, name), digest_size=16).digest() for name in names.tolist()]
    return sorted(range(len(draws)), key=lambda k: draws[k])

"""Comparisons that say again, or deny, what another one says: found by keys of 64 bits, for millions of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from basereward.cleaning.near import SIGNATURES
from basereward.cleaning.settings import CleanSettings
from basereward.cleaning.statements import CLAIMS, STATEMENTS
from basereward.fingerprints.buckets import first_of_group
from basereward.fingerprints.minhash import mixed, near_pairs, similarity
from basereward.fingerprints.pictures import first_of_same
from basereward.fingerprints.text import digest
from basereward.kept.looks import Looks
from basereward.kept.tables import Table

DUPLICATE, NEAR, CONFLICT = "duplicate", "near duplicate", "conflicting labels"
_BLOCK = 1 << 16


def shared_reasons(facts: Mapping[str, Table], pictures: np.ndarray, settings: CleanSettings) -> np.ndarray:
    """(n,): why each comparison is left out for another one's sake; None where it stays.

    Args:
        facts: by the names of their kinds, of those that may stay. pictures: (n,), from `picture_keys`.
    """
    said = facts[STATEMENTS.name].rows["said"]
    result = np.full(len(said), None, dtype=object)
    if settings.conflicts is not None:
        result[_conflicting(facts[CLAIMS.name], pictures, settings.conflicts == "drop")] = CONFLICT
    if settings.duplicates:
        left = np.flatnonzero(np.equal(result, None))
        result[left[_is_later(mixed(said[left] + pictures[left]))]] = DUPLICATE
    if settings.near_duplicates is not None:
        left = np.flatnonzero(np.equal(result, None))
        result[left[_is_near(facts[SIGNATURES.name], left, pictures, settings.near_duplicates)]] = NEAR
    return result


def picture_keys(shown: Table, looks: Looks | None) -> np.ndarray:
    """(n,) uint64 that two comparisons share when they show the same pictures in the same order; 0 for those without pictures.

    Args:
        shown: entries `picture`, names of pictures. looks: how they look, where pictures that look alike are the same.
    """
    names, first, place = np.unique(shown.entries["picture"], return_index=True, return_inverse=True)
    if looks is not None:
        order = np.argsort(first)
        same = names.copy()
        same[order] = names[order][first_of_same(*looks.of(names[order].tolist()))]
        names = same
    keys = np.zeros(len(shown), dtype=np.uint64)
    ends = np.cumsum(shown.counts)
    for row in np.flatnonzero(shown.counts).tolist():
        keys[row] = digest(b" ".join(names[place[ends[row] - shown.counts[row] : ends[row]]].tolist()).decode("ascii"))
    return keys


def _conflicting(claims: Table, pictures: np.ndarray, is_for_all: bool) -> np.ndarray:
    """Indices of the comparisons with a claim that another denies, or the first one that is made."""
    owners, directions = claims.owners, claims.entries["first"]
    keys = mixed(claims.entries["about"] + pictures[owners])
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    differs = directions != directions[first][place]
    if is_for_all:
        differs = (np.bincount(place, weights=differs, minlength=len(first)) > 0)[place]
    return np.unique(owners[differs])


def _is_near(signatures: Table, left: np.ndarray, pictures: np.ndarray, threshold: float) -> np.ndarray:
    """(len(left),) bool: whether an earlier one has nearly the same prompt and responses, and the same pictures and numbers."""
    prompts, responses = (signatures.rows[name][left] for name in ("prompt", "responses"))
    same = mixed(signatures.rows["numbers"][left] + pictures[left])
    pairs = near_pairs(responses, threshold)
    one, other = pairs.T
    is_same = same[one] == same[other]
    for start in range(0, len(pairs), _BLOCK):
        block = slice(start, start + _BLOCK)
        for rows in (prompts, responses):
            is_same[block] &= similarity(rows[one[block]], rows[other[block]]) >= threshold
    return first_of_group(len(left), pairs[is_same]) != np.arange(len(left))


def _is_later(keys: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the key stood before."""
    _, first = np.unique(keys, return_index=True)
    result = np.ones(len(keys), dtype=bool)
    result[first] = False
    return result

"""Responses of training comparisons and of a benchmark's items -> which of them have the same key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from basereward.kept.tables import Table


@dataclass(frozen=True)
class Meetings:
    """Pairs of a training response and an item that has it too, by comparison, and there by response. All (m,)."""

    rows: np.ndarray
    """Numbers of training comparisons."""
    responses: np.ndarray
    """Numbers of responses within those."""
    items: np.ndarray
    """Numbers of the benchmark's items."""
    keys: np.ndarray

    def take(self, chosen: np.ndarray) -> Meetings:
        """Some of them."""
        return Meetings(self.rows[chosen], self.responses[chosen], self.items[chosen], self.keys[chosen])


def meetings(answers: Table, known: Table, *, long: bool) -> Meetings:
    """What training comparisons and items share, of long responses or of short ones.

    Args:
        answers: of the training comparisons, known: of the items, both as `known.answers_of` gives them.
    """
    rows, responses, keys = _first_of_each(answers, long)
    items, _, item_keys = _first_of_each(known, long)
    order = np.argsort(item_keys, kind="stable")
    start, end = (np.searchsorted(item_keys[order], keys, side=side) for side in ("left", "right"))
    counts = end - start
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    found = items[order][np.repeat(start, counts) + within]
    return Meetings(np.repeat(rows, counts), np.repeat(responses, counts), found, np.repeat(keys, counts))


def meetings_by_row(found: Meetings) -> dict[tuple[int, int], tuple[int, ...]]:
    """(training comparison, item) -> the numbers of the responses that they share, ascending."""
    shared: dict[tuple[int, int], tuple[int, ...]] = {}
    for row, item, response in zip(found.rows.tolist(), found.items.tolist(), found.responses.tolist(), strict=True):
        shared[row, item] = (*shared.get((row, item), ()), response)
    return shared


def _first_of_each(answers: Table, long: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(comparison, response, key) of the long or of the short responses; one that a comparison gives twice counts once."""
    owners = answers.owners
    within = np.arange(len(owners)) - np.repeat(np.cumsum(answers.counts) - answers.counts, answers.counts)
    places = np.flatnonzero(answers.entries["is_long"] == long)
    pairs = np.stack([owners[places].astype(np.uint64), answers.entries["key"][places]], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    places = places[np.sort(first)]
    return owners[places], within[places], answers.entries["key"][places]

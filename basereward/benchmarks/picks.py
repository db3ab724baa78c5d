"""Picking one of N responses, as exact means over all subsets of N of them; nothing is drawn at random."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from basereward.samples import Sample


def sizes(samples: Sequence[Sample]) -> list[int]:
    """1, 2, 4 ... up to the responses that every item has, and that number itself.

    All numbers of a curve are then about the same items.
    """
    least = min(len(sample.lengths) for sample in samples)
    return sorted({2**k for k in range(least.bit_length())} | {least})


def kl(n: int) -> float:
    """Nats between the pick among n and a sample.

    >>> kl(1)
    0.0
    """
    return math.log(n) - (n - 1) / n


def pick_weights(values: Sequence[float], size: int) -> np.ndarray:
    """(n,) probability that each of n is the pick: the greatest value among `size` of them, drawn without replacement.

    Sorted from the greatest, the pick lies in a block of equal values from place a to b exactly when the drawn ones all stand at a or
    behind, and not all at b or behind; each of the block is as likely.

    >>> pick_weights([1.0, 3.0, 2.0], 2).tolist()
    [0.0, 0.6666666666666666, 0.3333333333333333]
    """
    values = np.asarray(values, dtype=float)
    weights, before, n = np.zeros(len(values)), 0, len(values)
    for value in np.unique(values)[::-1]:
        members = values == value
        after = before + int(members.sum())
        ways = math.comb(n - before, size) - math.comb(n - after, size)
        weights[members] = ways / (math.comb(n, size) * (after - before))
        before = after
    return weights


def majority_shares(answers: Sequence[str], correct: Sequence[bool], most: int) -> list[float]:
    """For 0 to `most` responses drawn without replacement, how often the answer that most of them give is correct.

    Answers that as many give share the vote. An answer whose responses are not all marked alike counts for the share of correct ones.

    >>> majority_shares(["7", "7", "8"], [True, True, False], 3)
    [0.0, 0.6666666666666666, 0.6666666666666666, 1.0]
    """
    counts = Counter(answer.strip() for answer in answers)
    right = Counter(answer.strip() for answer, is_right in zip(answers, correct, strict=True) if is_right)
    found = np.zeros(most + 1)
    for answer, number in right.items():
        others = tuple(sorted((counts - Counter({answer: counts[answer]})).values()))
        found += number / counts[answer] * np.array(_wins(counts[answer], others, most))
    return found.tolist()


@lru_cache(maxsize=4096)
def _wins(own: int, others: tuple[int, ...], most: int) -> tuple[float, ...]:
    """For each size, the chance that an answer given by `own` responses has the most votes, ties shared."""
    total = own + sum(others)
    found = [0.0] * (most + 1)
    for votes in range(1, own + 1):
        for (drawn, tied), ways in _ways(others, votes, most - votes).items():
            size = drawn + votes
            found[size] += math.comb(own, votes) * ways / ((tied + 1) * math.comb(total, size))
    return tuple(found)


def _ways(others: tuple[int, ...], votes: int, most: int) -> dict[tuple[int, int], int]:
    """(responses drawn from others, answers with exactly `votes` of them) -> in how many ways, none having more than `votes`."""
    ways = {(0, 0): 1} if most >= 0 else {}
    for count in others:
        further: dict[tuple[int, int], int] = {}
        for (drawn, tied), number in ways.items():
            for more in range(min(count, votes, most - drawn) + 1):
                key = (drawn + more, tied + (more == votes))
                further[key] = further.get(key, 0) + number * math.comb(count, more)
        ways = further
    return ways

"""How rewards moved from another model's on the same items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.pairs import correlation, pairs_of, ranks, rms
from basereward.errors import DataError
from basereward.results_tables import percent
from basereward.samples import Sample

VERDICTS = {(True, True): "right_in_both", (True, False): "lost", (False, True): "gained", (False, False): "right_in_none"}


class Drift(Diagnostic):
    """Needs samples of another model, `against`."""

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """`shift`: mean reward now minus before (no comparison depends on it); `scale`: root mean square of margins now over
        before; `correlation` and `spearman` of margins, now and before; `ks`: largest distance of the distributions of margins
        (Kolmogorov-Smirnov), with `ks_rescaled` after each is divided by its root mean square; `pairs`: how many were right before
        and are not now (`lost`), and so on.

        Raises:
            DataError: no item is in both.
        """
        if subject.against is None:
            return None
        now, before = matched(subject.samples, subject.against)
        m, b = pairs_of(now).margin_P, pairs_of(before).margin_P
        counts = Counter(VERDICTS[pair] for pair in zip((b > 0).tolist(), (m > 0).tolist()))
        scale = rms(m) / rms(b) if rms(b) else None
        return {
            "items": len(now),
            "items_not_in_both": len(subject.samples) + len(subject.against) - 2 * len(now),
            "shift": mean_reward(now) - mean_reward(before),
            "scale": scale,
            "correlation": correlation(m, b),
            "spearman": correlation(ranks(m), ranks(b)),
            "ks": ks(m, b),
            "ks_rescaled": ks(m / rms(m), b / rms(b)) if scale else None,
            "pairs": {name: counts[name] for name in VERDICTS.values()},
        }

    def told(self, found: Mapping[str, Any]) -> str:
        """Two lines."""
        pairs = found["pairs"]
        n = sum(pairs.values())
        numbers = ", ".join(f"{key} {_three(found[key])}" for key in ("scale", "correlation", "spearman", "ks", "ks_rescaled"))
        return (
            f"against the other model, on {found['items']:,} items ({found['items_not_in_both']:,} are not in both): margins: {numbers}\n"
            f"right before and not now {percent(pairs['lost'] / n if n else None)}%, now and not before "
            f"{percent(pairs['gained'] / n if n else None)}% of {n:,} pairs"
        )


def matched(now: Sequence[Sample], before: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The items that both scored, by id, in the order of `now`.

    Raises:
        DataError: there is none, or one id is of different items.
    """
    known = {sample.id: sample for sample in before if sample.rewards is not None}
    found = [(sample, known[sample.id]) for sample in now if sample.rewards is not None and sample.id in known]
    if not found:
        raise DataError("against: expected samples of the same items; found none that has an id of these; name another folder")
    for ours, theirs in found:
        if (ours.pairs, ours.lengths, ours.group) != (theirs.pairs, theirs.lengths, theirs.group):
            raise DataError(
                f"against: expected the item {ours.id} to be the same in both; found other responses, preferences or another prompt "
                "there; judge both models on one version of the data"
            )
    ours, theirs = zip(*found)
    return list(ours), list(theirs)


def mean_reward(samples: Sequence[Sample]) -> float:
    """Over all responses."""
    return float(np.mean(np.concatenate([sample.rewards for sample in samples])))


def ks(a: np.ndarray, b: np.ndarray) -> float | None:
    """The two-sample Kolmogorov-Smirnov statistic: the largest difference of the two shares at or below a value."""
    if not len(a) or not len(b):
        return None
    places = np.concatenate([a, b])
    below = [np.searchsorted(np.sort(values), places, side="right") / len(values) for values in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

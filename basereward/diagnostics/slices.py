"""Accuracy by how far apart the rewards are, by which response is longer, by category and by source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.pairs import equal_bins
from basereward.judging import Judged, judged_pairs, summary
from basereward.preferences import Pair
from basereward.records import Comparison
from basereward.results_tables import between, percent
from basereward.text_tables import table

Named = list[tuple[str, Judged]]


class Slices(Diagnostic):
    """Args:
    bins: ranges of the margin, of about equally many pairs each.
    length_limits: characters at which ranges of the length difference begin, on both sides of 0.
    """

    def __init__(self, bins: int = 5, length_limits: Sequence[int] = (1, 64, 256, 1024)):
        self.bins, self.length_limits = bins, tuple(length_limits)

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Kind of slice -> slice -> counts, accuracy and interval, as in results.json.

        `margin` is the size of the difference of the two rewards: a model that knows what it does not know is right more often
        where it is large. `label_margin` is what the data say of how much better the better response is, where they do.
        """
        pairs = judged_pairs(subject.samples)
        owners = [(sample, pair) for sample in subject.samples for pair in sample.pairs]
        longer = [sample.lengths[better] - sample.lengths[worse] for sample, (better, worse) in owners]
        found = {
            "margin": self._by_size([(abs(p.better - p.worse), p) for p in pairs if np.isfinite(p.better - p.worse)]),
            "length": self._by_length(longer, pairs),
            "category": [(sample.category or "(none)", judged) for (sample, _), judged in zip(owners, pairs)],
            "source": [(sample.source or "(none)", judged) for (sample, _), judged in zip(owners, pairs)],
        }
        sizes = list(label_margins(subject.comparisons or ()))
        if any(size for size in sizes):
            known = zip(sizes, pairs, strict=True)
            found["label_margin"] = self._by_size([(size, judged) for size, judged in known if size is not None])
        return {kind: _summaries(named) for kind, named in found.items()}

    def _by_size(self, sized: Sequence[tuple[float, Judged]]) -> Named:
        values = np.array([size for size, _ in sized])
        bin_P = equal_bins(values, self.bins)
        names = {n: f"{n + 1}. {values[bin_P == n].min():.3g} to {values[bin_P == n].max():.3g}" for n in np.unique(bin_P)}
        return sorted(((names[n], judged) for n, (_, judged) in zip(bin_P, sized)), key=lambda named: int(named[0].split(".")[0]))

    def _by_length(self, longer: Sequence[int], pairs: Sequence[Judged]) -> Named:
        order = sorted(zip(longer, pairs), key=lambda entry: entry[0])
        return [(self.length_name(difference), judged) for difference, judged in order]

    def length_name(self, difference: int) -> str:
        """The range of how much longer the better response is."""
        size, word = abs(difference), "longer" if difference > 0 else "shorter"
        low = max((limit for limit in self.length_limits if limit <= size), default=None)
        if low is None:
            return "about the same"
        high = min((limit for limit in self.length_limits if limit > size), default=None)
        return f"{low:,}+ {word}" if high is None else f"{low:,} to {high - 1:,} {word}"

    def told(self, found: Mapping[str, Any]) -> str:
        """One table for each kind that has more than one slice."""
        return "\n\n".join(_table(kind, slices) for kind, slices in found.items() if len(slices) > 1)


def label_margins(comparisons: Sequence[Comparison]) -> Iterator[float | None]:
    """Of each pair, how much better its better response is by its scores or its own margin; None where nothing says so."""
    for item in comparisons:
        yield from (_label_margin(item, pair) for pair in item.pairs)


def _label_margin(item: Comparison, pair: Pair) -> float | None:
    if item.scores is not None:
        return item.scores[pair.better] - item.scores[pair.worse]
    return pair.margin or None


def _summaries(named: Named) -> dict[str, Any]:
    members: dict[str, list[Judged]] = defaultdict(list)
    for name, judged in named:
        members[name].append(judged)
    return {name: summary(of) for name, of in members.items()}


def _table(kind: str, slices: Mapping[str, Any]) -> str:
    rows = [
        (name, f"{of['n']:,}", percent(of["accuracy"]), between(of["interval_95"]), str(of["ties"]))
        for name, of in slices.items()
    ]
    title = {"length": "better response, characters", "margin": "margin", "label_margin": "margin of the label"}.get(kind, kind)
    return table((title, "n", "accuracy", "95% interval", "ties"), rows)

"""Whether rewards stay when pictures are encoded anew and white space is written otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from basereward.config import locate
from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.pairs import Pairs, pairs_of, rms, spread_out
from basereward.errors import ConfigError, DataError
from basereward.records import Comparison
from basereward.results_tables import percent
from basereward.samples import Sample, with_rewards
from basereward.text_tables import table

Variant = Callable[[Comparison], Comparison | None]


class Consistency(Diagnostic):
    """Args:
    variants: name -> dotted name of a function as in `variants.py`; null leaves one out.
    limit: items that each variant is tried on, evenly spread over all.
    """

    needs_model = True

    def __init__(self, variants: Mapping[str, str | None], limit: int = 200):
        named = ((name, path) for name, path in variants.items() if path is not None)
        self.variants: dict[str, Variant] = {name: locate(path, f"variants.{name}") for name, path in named}
        if not self.variants:
            raise ConfigError(
                "variants: expected at least one, found none; leave the diagnostic out with diagnostics.consistency=null"
            )
        self.limit = limit

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """For each variant: `change`, root mean square of how far margins moved, over that of the margins; `largest` move of a
        margin; `verdicts_changed`, pairs whose order (or tie) became another; `accuracy` with the variant and `accuracy_before`
        on the same pairs. Items that a variant leaves as they are, or that fail in it, are not counted, `failed` apart.
        """
        if subject.scorer is None or subject.comparisons is None:
            return None
        known = zip(subject.samples, subject.comparisons, strict=True)
        scored = [(sample, item) for sample, item in known if sample.rewards is not None and item.pairs]
        found = {name: self.of_variant(variant, scored, subject) for name, variant in self.variants.items()}
        found = {name: numbers for name, numbers in found.items() if numbers is not None}
        return {"variants": found} if found else None

    def of_variant(
        self, variant: Variant, scored: Sequence[tuple[Sample, Comparison]], subject: Subject
    ) -> dict[str, Any] | None:
        """The findings of one variant; None where it applies to no item."""
        members, broken = [], 0
        for sample, item in spread_out(scored, self.limit):
            try:
                changed = variant(item)
            except DataError:  # a picture that was there for scoring and is no more
                broken += 1
                continue
            if changed is not None:
                members.append((sample, changed))
        if not members:
            return None
        results = list(
            subject.scorer.score_comparisons([item for _, item in members], progress=variant.__name__, catch=(DataError,))
        )
        good = [(sample, item, result) for (sample, item), result in zip(members, results) if isinstance(result, np.ndarray)]
        if not good:
            return None
        before, after = (
            pairs_of([s for s, _, _ in good]),
            pairs_of(with_rewards([i for _, i, _ in good], [r for _, _, r in good])),
        )
        return {"items": len(good), "failed": broken + len(members) - len(good), **findings(before, after)}

    def told(self, found: Mapping[str, Any]) -> str:
        """One row for each variant."""
        rows = [
            (name.replace("_", " "), f"{of['items']:,}", "-" if of["change"] is None else percent(of["change"]), f"{of['largest']:.2g}",
             percent(of["verdicts_changed"]), percent(of["accuracy_before"]), percent(of["accuracy"]))
            for name, of in found["variants"].items()
        ]  # fmt: skip
        head = (
            "the same, written otherwise",
            "items",
            "margins moved by %",
            "largest",
            "% verdicts changed",
            "accuracy",
            "after",
        )
        return table(head, rows)


def findings(before: Pairs, after: Pairs) -> dict[str, float | None]:
    """Of the same pairs."""
    moved_P, size = after.margin_P - before.margin_P, rms(before.margin_P)
    return {
        "change": rms(moved_P) / size if size else None,
        "largest": float(np.abs(moved_P).max()),
        "verdicts_changed": float((np.sign(after.margin_P) != np.sign(before.margin_P)).mean()),
        "accuracy_before": float((before.margin_P > 0).mean()),
        "accuracy": float((after.margin_P > 0).mean()),
    }

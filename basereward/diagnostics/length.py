"""Whether rewards follow the length of a response, and whether they still do where it is known which response is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.pairs import correlation, from_moments, moments, ranks
from basereward.metrics import resampled_sums
from basereward.results_tables import percent
from basereward.samples import Sample

PER_CHARACTERS = 100


class Length(Diagnostic):
    """Reward against length in characters."""

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """`within_prompts`: correlation of reward and length over responses, both less their prompt's mean, since rewards of
        different prompts cannot be compared; `over_all` is without that, and holds the prompts' own differences. In both, a set
        whose better responses are longer correlates through what is right.

        `partial`: the same over the two responses of each pair with their label held fixed. With margin m and length difference
        l of each pair, better minus worse, the label is the same in all of them, and what is left is the correlation of m and l.
        `reward_per_100_characters` is the slope that goes with it. `prefers_longer` is how often the longer of two has the greater
        reward, and `better_is_longer` how often it should.
        """
        pairs = subject.pairs
        if not len(pairs):
            return None
        rewards, lengths, centred = responses(subject.samples)
        m, l = pairs.margin_P, pairs.longer_P  # noqa: E741 - as in the text
        differ = l != 0
        return {
            "n": len(pairs),
            "over_all": correlation(rewards, lengths),
            "over_all_spearman": correlation(ranks(rewards), ranks(lengths)),
            "within_prompts": correlation(*centred),
            "partial": correlation(m, l),
            "partial_interval_95": correlation_interval(m, l, pairs.group_P),
            "partial_spearman": correlation(ranks(m), ranks(l)),
            "reward_per_100_characters": slope_per(m, l),
            "prefers_longer": _mean((np.sign(m * l)[differ] + 1) / 2),
            "better_is_longer": _mean(l[differ] > 0),
            "accuracy_better_longer": _mean(m[l > 0] > 0),
            "accuracy_better_shorter": _mean(m[l < 0] > 0),
        }

    def told(self, found: Mapping[str, Any]) -> str:
        """What is said in two lines."""
        interval = found["partial_interval_95"]
        limits = f" ({_three(interval[0])} to {_three(interval[1])})" if interval else ""
        return "\n".join([
            f"reward and length: correlation {_three(found['within_prompts'])} within prompts; {_three(found['partial'])}{limits} "
            "with the label held fixed",
            f"the longer response has the greater reward in {percent(found['prefers_longer'])}% of pairs and is better in "
            f"{percent(found['better_is_longer'])}%; accuracy {percent(found['accuracy_better_longer'])} where the better one is "
            f"longer, {percent(found['accuracy_better_shorter'])} where it is shorter",
        ])  # fmt: skip


def responses(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """(rewards, lengths, both less the mean of their item), over all responses that were scored."""
    scored = [(np.array(s.rewards), np.array(s.lengths, dtype=float)) for s in samples if s.rewards is not None]
    both = [np.concatenate(column) for column in zip(*scored)]
    centred = [np.concatenate([values - values.mean() for values in column]) for column in zip(*scored)]
    return both[0], both[1], (centred[0], centred[1])


def correlation_interval(a: np.ndarray, b: np.ndarray, groups: np.ndarray) -> list[float] | None:
    """95% percentile bootstrap interval of a correlation, whole prompts resampled; None where it is not defined for every draw."""
    sums = resampled_sums(moments(a - a.mean(), b - b.mean()), groups)
    drawn = [from_moments(*row) for row in sums]
    return None if None in drawn else [float(value) for value in np.quantile(drawn, [0.025, 0.975])]


def slope_per(m: np.ndarray, l: np.ndarray) -> float | None:  # noqa: E741 - as in the text
    """Least squares of m on l, for `PER_CHARACTERS` characters."""
    spread = l - l.mean()
    return float(PER_CHARACTERS * (spread @ m) / (spread @ spread)) if spread.any() else None


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

"""What a model gives for better answers whose style is altered, beside what it gives for the answers themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from basereward.config import locate
from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.pairs import rms, spread_out
from basereward.errors import ConfigError, DataError
from basereward.metrics import mean_interval
from basereward.records import Comparison
from basereward.results_tables import percent
from basereward.text_tables import table

Style = Callable[[str, str], str]


class Probes(Diagnostic):
    """All altered answers to a prompt are scored beside the original and a worse one, the prompt and its pictures computed once.

    Args:
        styles: name -> dotted name of a function as in `styles.py`; null leaves one out.
        limit: items that are probed, evenly spread over all.
    """

    needs_model = True

    def __init__(self, styles: Mapping[str, str | None], limit: int = 200):
        self.styles: dict[str, Style] = {
            name: locate(path, f"styles.{name}") for name, path in styles.items() if path is not None
        }
        if not self.styles:
            raise ConfigError("styles: expected at least one, found none; leave the diagnostic out with diagnostics.probes=null")
        self.limit = limit

    def measure(self, subject: Subject) -> dict[str, Any] | None:
        """For each style: `change`, mean reward of the altered answer less that of the original, and its interval; `in_margins`, the
        same in units of `typical_margin` (root mean square between better and worse answer); `raised`, how often it is
        above the original; `beats_worse`, how often above the worse answer, as the original is in `original_beats_worse`.
        """
        if subject.scorer is None or subject.comparisons is None:
            return None
        both = spread_out([both for both in zip(subject.comparisons, subject.samples, strict=True) if both[0].pairs], self.limit)
        items = [item for item, _ in both]
        results = subject.scorer.score_comparisons(map(self.altered, items), progress="styles", catch=(DataError,))
        scored = [(sample.group, result) for (_, sample), result in zip(both, results) if isinstance(result, np.ndarray)]
        if not scored:
            return None
        groups, reward_IR = [group for group, _ in scored], np.array([result for _, result in scored], dtype=float)
        return {"items": len(scored), "failed": len(items) - len(scored), **self.findings(reward_IR, groups)}

    def altered(self, item: Comparison) -> Comparison:
        """The better answer of the first pair, the worse one, and the better one in every style."""
        pair, question = item.pairs[0], question_of(item)
        better, worse = item.responses[pair.better], item.responses[pair.worse]
        answers = (better, worse, *(style(question, better) for style in self.styles.values()))
        return replace(item, responses=answers, pairs=(), ties=(), ranks=None, scores=None, text_rewards=None)

    def findings(self, reward_IR: np.ndarray, groups: Sequence[str]) -> dict[str, Any]:
        """From rewards of I items: original, worse, and one column for each style."""
        original_I, worse_I = reward_IR[:, 0], reward_IR[:, 1]
        typical = rms(original_I - worse_I)
        styles = {}
        for name, altered_I in zip(self.styles, reward_IR.T[2:], strict=True):
            change_I = altered_I - original_I
            styles[name] = {
                "change": float(change_I.mean()),
                "interval_95": list(mean_interval(change_I, groups)),
                "in_margins": float(change_I.mean() / typical) if typical else None,
                "raised": float((change_I > 0).mean()),
                "beats_worse": float((altered_I > worse_I).mean()),
            }
        return {"typical_margin": typical, "original_beats_worse": float((original_I > worse_I).mean()), "styles": styles}

    def told(self, found: Mapping[str, Any]) -> str:
        """One row for each style, the dearest first."""
        rows = [
            (name.replace("_", " "), f"{of['change']:+.3f}", f"{of['interval_95'][0]:+.3f} to {of['interval_95'][1]:+.3f}",
             "-" if of["in_margins"] is None else f"{of['in_margins']:+.2f}", percent(of["raised"]), percent(of["beats_worse"]))
            for name, of in sorted(found["styles"].items(), key=lambda entry: -entry[1]["change"])
        ]  # fmt: skip
        head = ("better answer, altered", "change", "95% interval", "in margins", "% raised", "% above worse")
        return (
            f"{table(head, rows)}\nof {found['items']:,} items; as it is, the better answer is above the worse one in "
            f"{percent(found['original_beats_worse'])}%, by a margin of {found['typical_margin']:.3f} (root mean square)"
        )


def question_of(item: Comparison) -> str:
    """The text of the last turn."""
    return "\n".join(part["text"] for part in item.messages[-1]["content"] if part["type"] == "text")

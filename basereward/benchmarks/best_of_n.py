"""Best of N: many responses to each prompt, of which it is known which are correct; what the model's pick among N of them is worth.

    basereward evaluate model=runs/demo benchmark=best_of_n benchmark.path=sampled.jsonl

A row is `{"prompt", "images", "responses", "correct": [true, false, ...], "answers": ["7", "8", ...], "gold": [0.3, ...]}`:
`correct` or `gold` or both; `answers`, what each response comes down to, adds the majority's vote. `gold` is the score of a better judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from basereward.benchmarks.custom import CustomBenchmark
from basereward.benchmarks.picks import kl, majority_shares, pick_weights, sizes
from basereward.data_recipes.custom import Custom
from basereward.metrics import clustered_interval, mean_interval
from basereward.preferences import is_finite
from basereward.problems import Notes, shown
from basereward.records import Comparison
from basereward.samples import Sample

# Column -> (what its values are, whether one is).
COLUMNS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "correct": ("true or false", lambda value: isinstance(value, bool)),
    "gold": ("a finite number", is_finite),
    "answers": ("a text", lambda value: isinstance(value, str)),
}

# What the rows without a column are left out of, where others have it.
LEFT_OUT = {
    "correct": "they count neither in best of N nor in accuracy",
    "gold": "they are left out of over-optimisation",
    "answers": "the majority is not worked out, as it would be of other prompts than the pick",
}
SHOWN_IDS = 3

NOTHING_TO_TELL = (
    "no prompt has both a right and a wrong response (or, without `correct`, two gold scores): accuracy cannot be measured, and "
    "every pick is worth the same by them"
)


class SampledRows(Custom):
    """Rows of sampled responses; their pairs are every correct with every wrong one, or by gold score where nothing says correct."""

    def comparison(self, row: Mapping, where: str) -> Comparison:
        """The row with its columns in `meta`; one whose responses are all correct, or all wrong, has no pairs.

        Raises:
            RowError: a column that does not fit the responses.
        """
        notes, found = Notes(where, str(row.get("id", ""))), {key: row[key] for key in COLUMNS if row.get(key) is not None}
        responses = row.get("responses")
        if not isinstance(responses, list | tuple) or not ("correct" in found or "gold" in found):
            expected, advice = "`responses`, and `correct` or `gold` for each of them", "complete the row or drop it"
            notes.add("missing keys", expected, f"the keys {', '.join(map(str, row))}", advice)
            notes.raise_if_any()
        for key, values in found.items():
            what, fits = COLUMNS[key]
            if not isinstance(values, list | tuple) or len(values) != len(responses) or not all(map(fits, values)):
                expected = f"`{key}` to be a list of {len(responses)}, each {what}"
                notes.add(f"{key} does not fit", expected, shown(values), "correct it or drop the row")
        notes.raise_if_any()
        scores = [float(value) for value in found.get("correct", found.get("gold"))]
        rest = {key: value for key, value in row.items() if key not in found}
        meta = {**(row.get("meta") or {}), **{key: list(values) for key, values in found.items()}}
        return self.parse(rest | {"scores": scores, "meta": meta}, where)


class BestOfN(CustomBenchmark):
    """Args:
    path, image_root, name: as of `CustomBenchmark`.
    """

    kind = "best_of_n"
    meta_keys = tuple(COLUMNS)

    def __init__(self, path: str, *, image_root: str | None = None, name: str | None = None):
        rows = SampledRows(path, image_root=image_root, source="best_of_n", keep_ties=True)
        super().__init__(rows.path, name=name, recipe=rows)

    def comparisons(self) -> list[Comparison]:
        """All rows; `notes` says which columns only some of them have, and where none of them tells a model from another.

        Where a row says which responses are correct, one that has gold scores alone gives no pairs: accuracy would be of two kinds.
        """
        found = super().comparisons()
        self.notes = [*self.notes, *partial_columns(found)]
        if any("correct" in item.meta for item in found):
            found = [item if "correct" in item.meta else replace(item, pairs=()) for item in found]
        if not any(item.pairs for item in found):
            self.notes = [*self.notes, NOTHING_TO_TELL]
        return found

    def numbers(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """`best_of_n` and `over_optimisation`, one row for each N, each over the items that have its column."""
        own: dict[str, Any] = {}
        official = None
        known = [sample for sample in samples if "correct" in sample.meta]
        if known:
            own["best_of_n"] = accuracy_curve(known)
        if any(len(set(sample.meta["correct"])) > 1 for sample in known):
            last = own["best_of_n"][-1]
            over = f", over the {len(known)} of {len(samples)} prompts that have `correct`" if len(known) < len(samples) else ""
            official = {"rule": f"accuracy of the pick among {last['n']}{over}", "value": last["picked"]}
        scored = [sample for sample in samples if sample.rewards is not None and "gold" in sample.meta]
        if scored:
            own["over_optimisation"] = gold_curve(scored)
        return {"own": own, "official": official}


def partial_columns(comparisons: Sequence[Comparison]) -> list[str]:
    """A sentence for each column that some rows have and others lack: what is then left out."""
    notes = []
    for key, what in LEFT_OUT.items():
        of = comparisons if key != "answers" else [item for item in comparisons if "correct" in item.meta]
        lacking = [item.id for item in of if key not in item.meta]
        if 0 < len(lacking) < len(of):
            examples = ", ".join(lacking[:SHOWN_IDS]) + (" ..." if len(lacking) > SHOWN_IDS else "")
            notes.append(f"no `{key}` in {len(lacking):,} of {len(of):,} rows ({examples}): {what}")
    return notes


def accuracy_curve(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """For each N: how often the pick is correct, and what chance, the majority and one who knows would reach.

    Means over all subsets of N responses of a prompt, computed exactly: N of the row's responses are drawn without replacement and the
    one with the greatest reward is picked; equal rewards share the pick. An item that could not be scored is never right.
    """
    groups, ns = [sample.group for sample in samples], sizes(samples)
    with_answers = all("answers" in sample.meta for sample in samples)
    votes = [majority_shares(s.meta["answers"], s.meta["correct"], ns[-1]) for s in samples] if with_answers else None
    rows = []
    for n in ns:
        picked = [0.0 if s.rewards is None else float(pick_weights(s.rewards, n) @ s.meta["correct"]) for s in samples]
        row = {
            "n": n, "picked": float(np.mean(picked)), "interval_95": list(clustered_interval(picked, groups)),
            "random": float(np.mean([np.mean(s.meta["correct"]) for s in samples])),
            "majority": float(np.mean([vote[n] for vote in votes])) if votes is not None else None,
            "oracle": float(np.mean([pick_weights(s.meta["correct"], n) @ s.meta["correct"] for s in samples])),
        }  # fmt: skip
        rows.append(row)
    return rows


def gold_curve(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """For each N: the mean gold score of the pick. Where it falls while N grows, the model is followed further than it is right.

    `kl` is how far picking among N moves from what was sampled: log N - (N - 1) / N nats (an upper bound, reached where no two
    responses are equal).
    """
    groups = [sample.group for sample in samples]
    rows = []
    for n in sizes(samples):
        gold = [float(pick_weights(s.rewards, n) @ s.meta["gold"]) for s in samples]
        best = float(np.mean([pick_weights(s.meta["gold"], n) @ s.meta["gold"] for s in samples]))
        random = float(np.mean([np.mean(s.meta["gold"]) for s in samples]))
        mean, interval = float(np.mean(gold)), list(mean_interval(gold, groups))
        rows.append({"n": n, "kl": kl(n), "gold": mean, "interval_95": interval, "random": random, "oracle": best})
    return rows

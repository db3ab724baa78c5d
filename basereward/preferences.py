"""Ranks, scores or a choice -> which response is better than which, and which are tied."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from basereward.problems import Notes, shown
from basereward.spellings import Draft


@dataclass(frozen=True, slots=True)
class Pair:
    """`responses[better]` is preferred over `responses[worse]`."""

    better: int
    worse: int
    margin: float = 0.0
    weight: float = 1.0
    probability: float = 1.0
    """That the better one wins; below 1 where judges disagree."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a row says about its responses."""

    pairs: tuple[Pair, ...] = ()
    ties: tuple[tuple[int, int], ...] = ()
    ranks: tuple[int, ...] | None = None
    """Dense, 0 is the best."""
    scores: tuple[float, ...] | None = None


def read_order(row: Mapping, draft: Draft, notes: Notes, *, margin: float = 0.0, keep_ties: bool = False) -> Order:
    """Every (better, worse) pair of the responses, in order, and every tied one, from ranks, scores, or chosen and rejected.

    Args:
        margin: of every pair.
        keep_ties: responses that are all tied are no problem.
    """
    if draft.is_pair:
        pairs = _chosen_pair(row, margin, notes) if len(draft.responses) == 2 else ()
        _note_same_texts(draft, pairs, notes)
        return Order(pairs)
    ranks, scores = _ranks_or_scores(row, draft, notes)
    if "probability" in row:
        expected = "`probability` beside `chosen` and `rejected` alone"
        notes.add("probability of a ranking", expected, "`responses`", "write one row for each pair, or leave it out")
    goodness = [-rank for rank in ranks] if ranks is not None else scores or ()
    span = range(len(goodness))
    pairs = tuple(Pair(i, j, margin) for i in span for j in span if goodness[i] > goodness[j])
    ties = tuple((i, j) for i in span for j in span if i < j and goodness[i] == goodness[j])
    if goodness and not pairs and not keep_ties:
        expected = "at least two responses that differ in rank or score"
        found = f"all equal to {row['ranks'][0] if ranks is not None else goodness[0]:g}"
        notes.add(
            "all responses tied",
            expected,
            found,
            "for a loss that reads ties or scores (rao_kupper, bradley_terry_ties, regression), "
            "keep such rows with data.keep_ties=true (in a mixture, keep_ties of the source); to any other they say nothing",
        )
    _note_same_texts(draft, pairs, notes)
    return Order(pairs, ties, ranks, scores)


def _chosen_pair(row: Mapping, margin: float, notes: Notes) -> tuple[Pair, ...]:
    """The pair of a chosen and a rejected response; a chosen one that more often loses is the worse."""
    probability = row.get("probability", 1.0)
    if not is_finite(probability) or not 0 <= probability <= 1:
        expected = "`probability` that the chosen response wins, from 0 to 1"
        notes.add("probability not from 0 to 1", expected, shown(probability), "correct `probability` or leave it out")
        return ()
    if probability < 0.5:
        return (Pair(1, 0, margin, probability=1.0 - probability),)
    return (Pair(0, 1, margin, probability=float(probability)),)


def _ranks_or_scores(row: Mapping, draft: Draft, notes: Notes) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
    keys = [key for key in ("ranks", "scores") if key in row]
    if len(draft.responses) < 2:
        notes.add("fewer than two responses", "at least 2 responses", str(len(draft.responses)), "drop the row")
        return None, None
    if len(keys) != 1:
        found = "both" if keys else f"neither among {', '.join(row)}"
        notes.add("missing keys", "`ranks` (0 = best) or `scores` (higher is better)", found, "give one of them")
        return None, None
    values = _numbers(row[keys[0]], keys[0], len(draft.responses), notes)
    if values is None:
        return None, None
    if keys[0] == "scores":
        return None, values
    dense = {rank: index for index, rank in enumerate(sorted(set(values)))}
    return tuple(dense[rank] for rank in values), None


def _numbers(values: object, key: str, wanted: int, notes: Notes) -> tuple[float, ...] | None:
    if not isinstance(values, list | tuple) or len(values) != wanted:
        found = f"{len(values)} of them" if isinstance(values, list | tuple) else shown(values)
        notes.add(f"wrong number of {key}", f"a list of {wanted} {key}, one per response", found, f"correct `{key}`")
        return None
    is_rank = key == "ranks"
    bad = [value for value in values if not is_finite(value) or (is_rank and (value < 0 or value != int(value)))]
    if bad:
        expected = "whole numbers from 0 (best)" if is_rank else "finite numbers"
        kind = "rank not a whole number" if is_rank else "score not a finite number"
        notes.add(kind, f"`{key}` to be {expected}", shown(bad[0]), "correct the value or drop that response")
        return None
    return tuple(float(value) for value in values)


def is_finite(value: object) -> bool:
    """True for a number that can be computed with: no bool, no text, no NaN, no infinity."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _note_same_texts(draft: Draft, pairs: Sequence[Pair], notes: Notes) -> None:
    texts = [text.strip() for text in draft.responses]
    same = next((pair for pair in pairs if texts[pair.better] == texts[pair.worse] != ""), None)
    if same is not None:
        kind = "chosen equals rejected" if draft.is_pair else "same text, different rank"
        names = "`chosen` and `rejected`" if draft.is_pair else f"responses {same.better} and {same.worse}"
        notes.add(kind, f"{names} to differ", f"{shown(texts[same.better])} twice", "drop the row or correct one of them")

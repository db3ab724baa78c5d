"""Ranks and scores of a row -> which response is better than which."""

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


def read_order(row: Mapping, draft: Draft, notes: Notes) -> tuple[tuple[int, ...] | None, tuple[float, ...] | None]:
    """The ranks (made dense, 0 is best) or the scores of `responses`; (None, None) for a chosen and a rejected one."""
    keys = [key for key in ("ranks", "scores") if key in row]
    if draft.is_pair:
        return None, None
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


def make_pairs(draft: Draft, ranks: Sequence | None, scores: Sequence | None, margin: float, notes: Notes) -> tuple[Pair, ...]:
    """Every (better, worse) pair of the responses, in order; equal ranks or scores make none."""
    if draft.is_pair:
        goodness: Sequence[float] = (1, 0) if len(draft.responses) == 2 else ()
    else:
        goodness = [-rank for rank in ranks] if ranks is not None else scores or ()
    if not goodness:
        return ()
    span = range(len(goodness))
    pairs = tuple(Pair(i, j, margin) for i in span for j in span if goodness[i] > goodness[j])
    if not pairs:
        expected = "at least two responses that differ in rank or score"
        notes.add("all responses tied", expected, f"all equal to {-goodness[0] if ranks else goodness[0]:g}", "drop the row")
    texts = [text.strip() for text in draft.responses]
    same = next((pair for pair in pairs if texts[pair.better] == texts[pair.worse] != ""), None)
    if same is not None:
        kind = "chosen equals rejected" if draft.is_pair else "same text, different rank"
        names = "`chosen` and `rejected`" if draft.is_pair else f"responses {same.better} and {same.worse}"
        notes.add(kind, f"{names} to differ", f"{shown(texts[same.better])} twice", "drop the row or correct one of them")
    return pairs

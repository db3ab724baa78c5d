"""Pairs of a benchmark whose two answers are the same text: no model can be right on them, and an official script counts them as wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from basereward.records import Comparison

# Added to the second answer while the row is read, because a row that prefers one of two equal texts is refused.
_TELLS_APART = " \N{REPLACEMENT CHARACTER}"


def always_tied(parse: Callable[[Mapping, str], Comparison], record: Mapping, answers: Sequence[str], where: str) -> Comparison:
    """The comparison of a record with these two answers, as they are: a model ties on it, unless they differ in white space.

    Args:
        parse: `Recipe.parse`.
        record: with `ranks`, and all else but `responses`.
    """
    comparison = parse({**record, "responses": [answers[0], answers[1] + _TELLS_APART]}, where)
    return replace(comparison, responses=tuple(answers))

"""A recipe -> everything that the page says of it, in one pass over its rows."""

from __future__ import annotations

from dataclasses import dataclass

from basereward.data_check import measure
from basereward.encode import Encoder
from basereward.images import ImageError
from basereward.recipes import Recipe
from basereward.records import Comparison
from basereward.show.prompts import Prompts
from basereward.show.rows import Rows
from basereward.show.sample import Sample
from basereward.show.statistics import Statistics


@dataclass
class Shown:
    """A comparison of the sample with its lengths in tokens, where a tokenizer was given and its pictures can be opened."""

    comparison: Comparison
    tokens: tuple[int, tuple[int, ...]] | None


@dataclass
class Source:
    """What was found."""

    name: str
    rows: Rows
    statistics: Statistics
    prompts: Prompts
    sample: list[Shown]
    licence: str
    amount: str = ""
    """What an epoch takes of it, in words; empty where nothing is trained."""


def look(recipe: Recipe, name: str, *, size: int, seed: int, limit: int | None, encoder: Encoder | None) -> Source:
    """Reads a source once.

    Args:
        size: comparisons to show.
        seed: of the sample.
        limit: rows that are read; all when None.
        encoder: measures lengths in tokens; characters without one.
    """
    rows, statistics, prompts, sample = Rows(recipe, limit), Statistics(), Prompts(), Sample(size, seed)
    for item in rows:
        prompts.add(item)
        sample.add(item)
        statistics.add(item, tokens(item, encoder) if encoder is not None else measure(item, None))
    shown = [Shown(item, tokens(item, encoder)) for item in sample.take()]
    return Source(name, rows, statistics, prompts, shown, recipe.card.licence)


def tokens(item: Comparison, encoder: Encoder | None) -> tuple[int, tuple[int, ...]] | None:
    """(prompt, responses) in tokens; None without an encoder, and for pictures that cannot be opened."""
    try:
        return measure(item, encoder) if encoder is not None else None
    except ImageError:
        return None

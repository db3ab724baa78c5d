"""Scored pairs -> what the charts about sureness and lengths show. Bins and ranges are those of the diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from basereward.diagnostics.base import Diagnostic, Subject
from basereward.diagnostics.calibration import Calibration
from basereward.diagnostics.distribution import Distribution
from basereward.diagnostics.pairs import Pairs
from basereward.diagnostics.slices import Slices
from basereward.samples import Sample

# Fewer pairs than this show nothing.
MIN_PAIRS = 20
# Diagnostics that need nothing but rewards, so that a page has them without `basereward diagnose`, with the settings of its YAML.
FROM_REWARDS: Mapping[str, type[Diagnostic]] = {"slices": Slices, "calibration": Calibration, "distribution": Distribution}


@dataclass(frozen=True)
class Range:
    """Pairs whose better response is longer, or shorter, by some range of characters."""

    name: str
    n: int
    at: float
    """The median difference in characters."""
    margin: float
    """The median margin."""


def findings(samples: Sequence[Sample], pairs: Pairs, diagnosed: Mapping[str, Any]) -> dict[str, Any]:
    """Name of a diagnostic -> its numbers: those of diagnostics.json, and where it has none, what rewards alone tell."""
    found: dict[str, Any] = {}
    if len(pairs) >= MIN_PAIRS:
        subject = Subject(samples, None, None, None)
        found = {name: numbers for name, kind in FROM_REWARDS.items() if (numbers := kind().measure(subject)) is not None}
    return found | diagnosed


def by_length(pairs: Pairs) -> list[Range]:
    """Pairs by how much longer the preferred response is, the shortest first; ranges without pairs are left out."""
    name_of = Slices().length_name
    members: dict[str, list[int]] = {}
    for place in np.argsort(pairs.longer_P, kind="stable").tolist():
        members.setdefault(name_of(int(pairs.longer_P[place])), []).append(place)
    return [_range(name, pairs.chosen(np.array(places))) for name, places in members.items()]


def _range(name: str, pairs: Pairs) -> Range:
    return Range(name, len(pairs), float(np.median(pairs.longer_P)), float(np.median(pairs.margin_P)))

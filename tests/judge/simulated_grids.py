"""Grids whose truth is known: right and wrong of settings, seeds and items, drawn from a logistic model of abilities and difficulties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq

# Deviation of difficulties: two runs of one setting then differ on a fifth of the items at an accuracy of three quarters, as runs of one
# recipe do.
DIFFICULTY = 2.5


@dataclass(frozen=True)
class Truth:
    """What a grid is drawn from.

    Attributes:
        gaps: accuracy of each setting above `accuracy`; their number is that of the settings.
        seeds, items: drawn of each.
        seed_deviation: of one seed's true accuracy.
        to_a_prompt: items of one prompt, which share half of their difficulty.
        own_taste: deviation of what a setting finds easy or hard beyond what all do.
    """

    gaps: Sequence[float] = (0.0,) * 8
    seeds: int = 3
    items: int = 1250
    seed_deviation: float = 0.01
    accuracy: float = 0.75
    to_a_prompt: int = 1
    own_taste: float = 0.0

    @property
    def groups(self) -> np.ndarray:
        return np.arange(self.items) // self.to_a_prompt

    def grid(self, generator: np.random.Generator) -> list[np.ndarray]:
        """(seeds, items) of each setting; their true accuracies are `accuracy + gap` over all items and seeds that could be drawn."""
        spread = float(np.hypot(DIFFICULTY, self.own_taste))
        easy_N = self._difficulties(generator, DIFFICULTY)
        found = []
        for gap in self.gaps:
            ability, slope = _ability(self.accuracy + gap, spread)
            level_S1 = ability + self.seed_deviation / slope * generator.standard_normal((self.seeds, 1))
            chance_SN = 1 / (1 + np.exp(-(level_S1 + easy_N + self._difficulties(generator, self.own_taste))))
            found.append(generator.random(chance_SN.shape) < chance_SN)
        return found

    def _difficulties(self, generator: np.random.Generator, deviation: float) -> np.ndarray:
        if not deviation:
            return np.zeros(self.items)
        own_N = generator.standard_normal(self.items)
        if self.to_a_prompt > 1:
            own_N = (own_N + generator.standard_normal(self.groups[-1] + 1)[self.groups]) / 2**0.5
        return deviation * own_N


@cache
def _ability(accuracy: float, spread: float) -> tuple[float, float]:
    """(ability that gives an accuracy, by how much the accuracy grows with it); by quadrature over difficulties."""
    point, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()

    def chance(ability: float) -> np.ndarray:
        return 1 / (1 + np.exp(-(ability + spread * point)))

    ability = brentq(lambda at: weight @ chance(at) - accuracy, -30, 30)
    return ability, float(weight @ (chance(ability) * (1 - chance(ability))))

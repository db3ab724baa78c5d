"""A weighted sum of losses, where the mathematics lets them stand together."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from basereward.errors import ConfigError, near_matches
from basereward.losses.base import Loss
from basereward.losses.labels import Labels


class Sum(Loss):
    """``sum of weight * loss`` over named terms, comparison by comparison.

    Terms that explain the same thing are refused: the labels would count twice, in two models that contradict each other
    (Plackett-Luce and Rao-Kupper both explain the order). Penalties, and likelihoods of different things, add up: the order and the
    ties, the order and the scores.

    Args:
        terms: name -> loss; in a config, its node with ``_target_``.
        weights: name -> factor, 1 where absent. 0 turns a term off and lets it refuse nothing.
    """

    def __init__(self, *, terms: Mapping[str, Loss], weights: Mapping[str, float] | None = None):
        weights = dict(weights or {})
        for name, weight in weights.items():
            if name not in terms:
                raise ConfigError(f"loss.weights.{name}: there is no such term; {near_matches(name, terms)}")
            if not weight >= 0:
                raise ConfigError(f"loss.weights.{name}: expected 0 or more, found {weight}")
        for name, term in terms.items():
            if not isinstance(term, Loss):
                raise ConfigError(
                    f"loss.terms.{name}: expected a loss, found {term!r}; give it a _target_ under basereward.losses"
                )
        self.terms = {name: (weights.get(name, 1.0), term) for name, term in terms.items() if weights.get(name, 1.0)}
        if not self.terms:
            raise ConfigError("loss.terms: expected at least one term with a weight above 0, found none")
        _check_together({name: term for name, (_, term) in self.terms.items()})

    @property
    def explains(self) -> frozenset[str]:
        """What its terms explain together."""
        return frozenset().union(*(term.explains for _, term in self.terms.values()))

    @property
    def reads(self) -> frozenset[str]:
        """What any of its terms reads."""
        return frozenset().union(*(term.reads for _, term in self.terms.values()))

    @property
    def needs_scores(self) -> bool:
        """Whether any of its terms does."""
        return any(term.needs_scores for _, term in self.terms.values())

    @property
    def needs_text_rewards(self) -> bool:
        """Whether any of its terms does."""
        return any(term.needs_text_rewards for _, term in self.terms.values())

    @property
    def sees_shift(self) -> bool:
        """Whether any of its terms does."""
        return any(term.sees_shift for _, term in self.terms.values())

    @property
    def name(self) -> str:
        """The names of its terms' classes."""
        return " + ".join(term.name for _, term in self.terms.values())

    def measures(self, reward_R: torch.Tensor, labels: Labels) -> dict[str, torch.Tensor]:
        """What its terms measure, by name."""
        return {name: values for _, term in self.terms.values() for name, values in term.measures(reward_R, labels).items()}

    def __call__(self, reward_R: torch.Tensor, labels: Labels) -> torch.Tensor:
        """(R,) rewards -> (C,) losses, in the rewards' dtype."""
        return torch.stack([weight * term(reward_R, labels) for weight, term in self.terms.values()]).sum(0)


def _check_together(terms: Mapping[str, Loss]) -> None:
    owner: dict[str, str] = {}
    for name, term in terms.items():
        for thing in sorted(term.explains):
            if thing in owner:
                raise ConfigError(
                    f"loss.terms: {owner[thing]} ({terms[owner[thing]].name}) and {name} ({term.name}) are both likelihoods of the "
                    f"{thing}; the labels would count twice. Keep one of them"
                )
            owner[thing] = name

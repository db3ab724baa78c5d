"""What a run reports: running numbers of training packs, and the validation of a list of comparisons."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from basereward.losses.base import Loss
from basereward.losses.labels import Labels
from basereward.metrics import outcome
from basereward.packing import Pack
from basereward.records import Comparison
from basereward.scorer import Scorer


class Meter:
    """Collects rewards between two log lines.

    Rewards stay on the device until ``drain``, so that logging does not stop the device at every pack.

    Args:
        loss: what it measures is reported too.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.seen: list[tuple[Pack, torch.Tensor]] = []
        self.seconds = self.started = 0.0

    def add(self, pack: Pack, reward_R: torch.Tensor) -> None:
        """Notes a pack's labels and its (R,) rewards."""
        self.seen.append((pack.labels_only(), reward_R))

    def start_step(self) -> None:
        """Called before a step's data are fetched."""
        self.started = time.perf_counter()

    def end_step(self) -> None:
        """Called after the optimizer: the step's wall time, waiting for data included."""
        self.seconds += time.perf_counter() - self.started

    def drain(self) -> dict[str, float]:
        """The numbers since the last call; starts anew."""
        if not self.seen:
            return {}
        better, worse, sources, rewards = [], [], [], []
        for pack, reward_R in self.seen:
            reward_R = reward_R.float().cpu().numpy()
            labels = pack.labels
            better.append(reward_R[labels.better_P.cpu().numpy()])
            worse.append(reward_R[labels.worse_P.cpu().numpy()])
            sources += [pack.sources[c] for c in labels.comparison_P.tolist()]
            rewards.append(reward_R)
        numbers = pair_numbers(np.concatenate(better), np.concatenate(worse), sources)
        numbers |= reward_numbers(np.concatenate(rewards))
        numbers |= means([self.loss.measures(reward_R.float(), pack.labels) for pack, reward_R in self.seen])
        tokens, comparisons = sum(pack.num_tokens for pack, _ in self.seen), sum(len(pack.ids) for pack, _ in self.seen)
        numbers |= {"tokens_per_second": tokens / self.seconds, "comparisons_per_second": comparisons / self.seconds}
        self.__init__(self.loss)
        return numbers


def pair_numbers(better: np.ndarray, worse: np.ndarray, sources: Sequence[str]) -> dict[str, float]:
    """Accuracy, share of ties and mean margin over pairs, and the accuracy of each source where there are several.

    Nothing where all responses are tied: there is no pair to be right about.
    """
    if not len(better):
        return {}
    result = outcome(better, worse)
    numbers = {"accuracy": result.accuracy, "ties": result.ties / max(1, result.n), "margin": float(np.mean(better - worse))}
    by_source: dict[str, list[int]] = defaultdict(list)
    for i, source in enumerate(sources):
        by_source[source].append(i)
    if len(by_source) > 1:
        numbers |= {f"accuracy/{name}": outcome(better[rows], worse[rows]).accuracy for name, rows in sorted(by_source.items())}
    return numbers


def reward_numbers(rewards: np.ndarray) -> dict[str, float]:
    """Mean and standard deviation of all rewards."""
    return {"reward_mean": float(np.mean(rewards)), "reward_std": float(np.std(rewards))}


def means(measured: Sequence[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Name -> mean over all packs of what a loss measures; a name without numbers is left out."""
    joined = {name: torch.cat([values[name] for values in measured]) for name in (measured[0] if measured else ())}
    return {name: values.mean().item() for name, values in joined.items() if len(values)}


def evaluate_comparisons(scorer: Scorer, comparisons: Sequence[Comparison], loss: Loss) -> dict[str, float]:
    """Loss (weighted mean over comparisons), accuracy, ties, margin, per-source accuracy and reward statistics."""
    rewards, better, worse, sources, losses, weights, measured = [], [], [], [], [], [], []
    for comparison, reward_N in zip(comparisons, scorer.score_comparisons(comparisons)):
        better += [reward_N[p.better] for p in comparison.pairs]
        worse += [reward_N[p.worse] for p in comparison.pairs]
        sources += [comparison.source] * len(comparison.pairs)
        rewards.append(reward_N)
        labels, reward_R = Labels.of([comparison]), torch.from_numpy(reward_N)
        losses.append(float(loss(reward_R, labels)[0]))
        measured.append(loss.measures(reward_R, labels))
        weights.append(comparison.weight)
    numbers = {"loss": float(np.average(losses, weights=weights))}
    numbers |= pair_numbers(np.array(better), np.array(worse), sources) | means(measured)
    return numbers | reward_numbers(np.concatenate(rewards))

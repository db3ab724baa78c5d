"""What a run reports: running numbers of training packs, and the validation of a list of comparisons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from basereward import ranks
from basereward.losses.base import Loss
from basereward.losses.labels import Labels
from basereward.metrics import outcome
from basereward.packing import Pack
from basereward.records import Comparison
from basereward.scorer import Scorer
from basereward.speed import Machine, Speed, speed_numbers


class Meter:
    """Collects rewards and speed between two log lines.

    Rewards stay on the device until ``drain``, so that logging does not stop the device at every pack.

    Args:
        loss: what it measures is reported too.
        machine: what the speed is measured against.
    """

    def __init__(self, loss: Loss, machine: Machine) -> None:
        self.loss, self.machine = loss, machine
        self.seen: list[tuple[Pack, torch.Tensor]] = []
        self.speed = Speed()

    def add(self, pack: Pack, reward_R: torch.Tensor) -> None:
        """Notes a pack's labels and its (R,) rewards."""
        self.speed.add(pack, self.machine.sizes)
        self.seen.append((pack.labels_only(), reward_R))

    def drain(self) -> dict[str, float]:
        """The numbers since the last call, over all ranks, every one of which must call it; starts anew."""
        rows = [row for of_rank in ranks.gather([self._row(*seen) for seen in self.seen]) for row in of_rank]
        if not rows:
            return {}
        better, worse, rewards = (np.concatenate([row[name] for row in rows]) for name in ("better", "worse", "rewards"))
        numbers = pair_numbers(better, worse, [source for row in rows for source in row["sources"]]) | reward_numbers(rewards)
        numbers |= means([row["measures"] for row in rows]) | speed_numbers(self.speed, self.machine)
        self.seen, self.speed = [], Speed()
        return numbers

    def _row(self, pack: Pack, reward_R: torch.Tensor) -> dict:
        labels, reward_R = pack.labels, reward_R.float().cpu()
        return {
            "better": reward_R[labels.better_P].numpy(), "worse": reward_R[labels.worse_P].numpy(), "rewards": reward_R.numpy(),
            "sources": [pack.sources[c] for c in labels.comparison_P.tolist()], "measures": self.loss.measures(reward_R, labels),
        }  # fmt: skip


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
    """Loss (weighted mean over comparisons), accuracy, ties, margin, per-source accuracy and reward statistics.

    The ranks share the comparisons, and all have the numbers; every one must call it.
    """
    own = range(ranks.number(), len(comparisons), ranks.count())
    by_rank = ranks.gather(list(scorer.score_comparisons(comparisons[i] for i in own)))
    rewards, better, worse, sources, losses, weights, measured = [], [], [], [], [], [], []
    for i, comparison in enumerate(comparisons):
        reward_N = by_rank[i % ranks.count()][i // ranks.count()]
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

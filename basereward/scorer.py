"""Path -> scores: a loaded reward model that gives one float for each response, the prompt computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from basereward import checkpoint
from basereward.encode import Encoder
from basereward.errors import DataError
from basereward.model import RewardModel
from basereward.packing import Pack, collate, plan_packs
from basereward.records import Comparison
from basereward.runtime import pick_device

# Comparisons that are encoded together before they are dealt into packs: enough to fill packs, few enough to hold in memory.
WINDOW = 256


class Scorer:
    """Scores comparisons with one model.

    Args:
        model: in eval mode; scoring switches a training model to eval and back.
        encoder: of the same checkpoint.
        token_budget: tokens of a pack; a comparison above it gets a pack of its own.
        autocast: dtype of the compute where it differs from the weights' (bf16 evaluation during training), else ``None``.
    """

    def __init__(self, model: RewardModel, encoder: Encoder, *, token_budget: int = 8192, autocast: torch.dtype | None = None):
        self.model = model
        self.encoder = encoder
        self.token_budget = token_budget
        self.autocast = autocast

    def score(
        self, prompt: str | Sequence[dict], responses: Sequence[str], images: Sequence[object] = (), *, system: str | None = None
    ) -> list[float]:
        """Rewards of N >= 1 responses to one prompt, in order; higher is better, only differences have a meaning.

        Args:
            prompt: a question, or messages ``{"role", "content"}`` that end with a user turn.
            responses: the texts to score.
            images: paths, bytes or PIL images, in the order of their markers; without markers they stand before the text.
            system: system prompt; the chat template's default when absent.

        >>> rm.score("What colour is the car?", ["Red.", "Blue."], images=["car.jpg"])  # doctest: +SKIP
        [2.31, -0.87]
        """
        if isinstance(responses, str) or not responses:
            raise DataError(f"responses: expected a list of at least one text, found {responses!r}")
        comparison = as_comparison(prompt, responses, images, system)
        return next(self.score_comparisons([comparison])).tolist()

    def score_comparisons(self, comparisons: Iterable[Comparison], *, progress: str | None = None) -> Iterator[np.ndarray]:
        """Yields (N,) float32 rewards for each comparison, in the order given.

        Args:
            comparisons: any iterable; read in windows, so that a long file needs little memory.
            progress: label of a progress bar; none when ``None``.
        """
        total = len(comparisons) if hasattr(comparisons, "__len__") else None
        source = iter(comparisons)
        with tqdm(total=total, desc=progress, disable=progress is None, unit="cmp") as bar:
            while window := list(islice(source, WINDOW)):
                yield from self._score_window(window, bar)

    def _score_window(self, window: Sequence[Comparison], bar: tqdm) -> list[np.ndarray]:
        lengths = [self.encoder.length(comparison).packed for comparison in window]
        rewards: list[np.ndarray | None] = [None] * len(window)
        for members in plan_packs(lengths, self.token_budget):
            pack = collate([self.encoder.encode(window[i]) for i in members], self.encoder.patch_settings)
            for i, reward_N in zip(members, self.score_pack(pack)):
                rewards[i] = reward_N
            bar.update(len(members))
        return rewards

    def score_pack(self, pack: Pack) -> list[np.ndarray]:
        """(N,) rewards for each comparison of a pack."""
        was_training = self.model.training
        self.model.eval()
        device = self.model.device
        with torch.no_grad(), torch.autocast(device.type, dtype=self.autocast, enabled=self.autocast is not None):
            reward_R = self.model(pack.to(device)).cpu().numpy()
        self.model.train(was_training)
        return np.split(reward_R, np.cumsum(pack.num_responses)[:-1])


def as_comparison(prompt: str | Sequence[dict], responses: Sequence[str], images: Sequence[object], system: str | None) -> Comparison:
    """A comparison without preferences, for scoring."""
    from basereward.records import parse_prompt

    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    parts, pictures = parse_prompt(messages, images)
    return Comparison(parts, pictures, tuple(responses), (), id="score")


def load(path: str | Path, *, dtype: str = "float32", device: str = "auto", token_budget: int = 8192) -> Scorer:
    """A scorer from a run directory, a checkpoint folder or a Hub id.

    Args:
        dtype: of the backbone's weights: float32, bfloat16 or float16. The head is always float32.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    """
    model, encoder = checkpoint.load(path, dtype=getattr(torch, dtype), device=pick_device(device))
    return Scorer(model, encoder, token_budget=token_budget)

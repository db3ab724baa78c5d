"""Path -> scores: a loaded reward model that gives one float for each response, the prompt computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from basereward import checkpoint
from basereward.encode import Encoder
from basereward.errors import ConfigError, DataError, near_matches
from basereward.model import RewardModel
from basereward.packing import Pack, collate, plan_packs
from basereward.problems import shown
from basereward.records import Comparison, parse_prompt
from basereward.runtime import pick_device

# Comparisons that are encoded together before they are dealt into packs: enough to fill packs, few enough to hold in memory.
WINDOW = 256
DTYPES = ("float32", "bfloat16", "float16")


class Scorer:
    """Scores comparisons with one model.

    Args:
        model: in eval mode; scoring switches a training model to eval and back.
        encoder: of the same checkpoint.
        token_budget: tokens of a pack; a comparison above it gets a pack of its own.
        max_length: tokens of the longest prefix + response that is scored; a longer one is an error. No limit when ``None``.
        autocast: dtype of the compute where it differs from the weights' (bf16 evaluation during training), else ``None``.
    """

    def __init__(
        self, model: RewardModel, encoder: Encoder, *, token_budget: int = 8192, max_length: int | None = None,
        autocast: torch.dtype | None = None,
    ):  # fmt: skip
        self.model = model
        self.max_length = max_length
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
        comparison = as_comparison(prompt, responses, images, system)
        return next(self.score_comparisons([comparison])).tolist()

    def score_comparisons(
        self, comparisons: Iterable[Comparison], *, progress: str | None = None, catch: tuple[type[Exception], ...] = ()
    ) -> Iterator[np.ndarray | Exception]:
        """Yields (N,) float32 rewards for each comparison, in the order given.

        Args:
            comparisons: any iterable; read in windows, so that a long file needs little memory.
            progress: label of a progress bar; none when ``None``.
            catch: errors of one comparison (``DataError``: a broken picture, too long, rewards that are not finite) that are yielded
                in the place of its rewards; an error of another kind is raised.
        """
        total = len(comparisons) if hasattr(comparisons, "__len__") else None
        source = iter(comparisons)
        with tqdm(total=total, desc=progress, disable=progress is None, unit="cmp") as bar:
            while window := list(islice(source, WINDOW)):
                yield from self._score_window(window, bar, catch)

    def _score_window(self, window: Sequence[Comparison], bar: tqdm, catch: tuple) -> list[np.ndarray | Exception]:
        results: list = [_attempt(self._packed_length, comparison, catch) for comparison in window]
        good = [i for i, result in enumerate(results) if not isinstance(result, Exception)]
        bar.update(len(window) - len(good))
        for members in plan_packs([results[i] for i in good], self.token_budget):
            encoded = {good[k]: _attempt(self.encoder.encode, window[good[k]], catch) for k in members}
            usable = {i: item for i, item in encoded.items() if not isinstance(item, Exception)}
            rewards = self.score_pack(collate(list(usable.values()), self.encoder.patch_settings)) if usable else []
            scored = {i: _attempt(_finite, (window[i], reward_N), catch) for i, reward_N in zip(usable, rewards)}
            for i, result in (encoded | scored).items():
                results[i] = result
            bar.update(len(members))
        return results

    def _packed_length(self, comparison: Comparison) -> int:
        lengths = self.encoder.length(comparison)
        if self.max_length is not None and lengths.longest > self.max_length:
            raise DataError(
                f"{comparison.where or comparison.id}: expected at most {self.max_length} tokens, found {lengths.longest} in its "
                "longest prefix + response; shorten it, use smaller pictures, or raise max_length where the model can read more"
            )
        return lengths.packed

    def score_pack(self, pack: Pack) -> list[np.ndarray]:
        """(N,) rewards for each comparison of a pack."""
        was_training = self.model.training
        self.model.eval()
        device = self.model.device
        with torch.no_grad(), torch.autocast(device.type, dtype=self.autocast, enabled=self.autocast is not None):
            reward_R = self.model(pack.to(device)).cpu().numpy()
        self.model.train(was_training)
        return np.split(reward_R, np.cumsum(pack.num_responses)[:-1])


def as_comparison(
    prompt: str | Sequence[dict], responses: Sequence[str], images: Sequence[object], system: str | None
) -> Comparison:
    """A comparison without preferences, for scoring."""
    if isinstance(responses, str) or not responses or not all(isinstance(text, str) and text.strip() for text in responses):
        raise DataError(f"responses: expected a list of at least one text, none of them empty; found {shown(responses)}")
    if not isinstance(prompt, str | list | tuple):
        raise DataError(f"prompt: expected a question, or a list of messages that ends with a user turn; found {shown(prompt)}")
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if system is not None:
        messages = [{"role": "system", "content": system}, *messages]
    parts, pictures = parse_prompt(messages, images)
    return Comparison(parts, pictures, tuple(responses), (), id="score")


def _finite(scored: tuple[Comparison, np.ndarray]) -> np.ndarray:
    """Rewards that can be compared: nan is neither more nor less than anything, and no JSON."""
    comparison, reward_N = scored
    if not np.isfinite(reward_N).all():
        raise DataError(
            f"{comparison.where or 'comparison'} ({comparison.id}): expected finite rewards, found {reward_N.tolist()}: the model's "
            "weights hold nan or inf, or values too large for their dtype (float16 ends at 65504); try dtype=float32, or an earlier "
            "checkpoint"
        )
    return reward_N


def _attempt(function: Callable, item: Any, catch: tuple[type[Exception], ...]):
    try:
        return function(item)
    except catch as error:
        return error


def load(
    path: str | Path, *, dtype: str = "float32", device: str = "auto", token_budget: int = 8192, max_length: int | None = None
) -> Scorer:
    """A scorer from a run directory, a checkpoint folder, an exported folder or a Hub id.

    Args:
        path: where the model is.
        dtype: of the backbone's weights: float32, bfloat16 or float16. The head is always float32.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        token_budget, max_length: of the ``Scorer``; when ``max_length`` is ``None``, the positions that the model was made for
            (``max_position_embeddings`` of its config) are the limit.

    Raises:
        ConfigError: an option that cannot be used.
        CheckpointError: the folder is not a reward model, or does not give the rewards it was saved with.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise ConfigError(f"model: expected a run, a checkpoint folder or a Hub id, found {shown(path)}; give its path")
    check_options(dtype, device, token_budget=token_budget, max_length=max_length)
    model, encoder = checkpoint.load(path, dtype=getattr(torch, dtype), device=pick_device(device))
    if max_length is None:
        max_length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Scorer(model, encoder, token_budget=token_budget, max_length=max_length)


def check_options(dtype: str, device: str, *, token_budget: int, max_length: int | None = None) -> None:
    """What can be known to be wrong before a model is loaded.

    Raises:
        ConfigError: naming the option.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype: {dtype!r} is not known; {near_matches(dtype, DTYPES)}")
    pick_device(device)
    for name, value in (("token_budget", token_budget), ("max_length", max_length)):
        if value is not None and value < 1:
            raise ConfigError(f"{name}: expected a number of tokens of at least 1, found {value}; leave it out for the default")

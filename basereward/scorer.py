"""Path -> scores: a loaded reward model that gives one float for each response, the prompt computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tqdm.auto import tqdm

from basereward import checkpoint
from basereward.encode import Encoder
from basereward.errors import ConfigError, DataError, near_matches
from basereward.feed import WINDOW, Feed, Load, attempt
from basereward.model import RewardModel
from basereward.packing import Pack, on_device
from basereward.prefix_keys import PrefixKeys
from basereward.problems import shown
from basereward.records import Comparison, parse_prompt
from basereward.runtime import pick_device

Item = TypeVar("Item")
DTYPES = ("float32", "bfloat16", "float16")


class Scorer:
    """Scores comparisons with one model.

    Args:
        model: in eval mode; scoring switches a training model to eval and back.
        encoder: of the same checkpoint.
        token_budget: tokens of a pack; a comparison above it takes several, of which the first computes its prompt and pictures.
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
        self, comparisons: Iterable[Comparison], *, progress: str | None = None, catch: tuple[type[Exception], ...] = (),
        window: int = WINDOW,
    ) -> Iterator[np.ndarray | Exception]:  # fmt: skip
        """Yields (N,) float32 rewards for each comparison, in the order given.

        Args:
            comparisons: any iterable; read in windows by a thread, some of them ahead, so that a long file needs little memory and
                the model does not wait for pictures.
            progress: label of a progress bar; none when ``None``.
            catch: errors of one comparison (``DataError``: a broken picture, too long, rewards that are not finite) that are yielded
                in the place of its rewards; an error of another kind is raised.
            window: comparisons that are dealt into packs together; their rewards come together.
        """
        device = self.model.device
        feed = Feed(self.encoder, token_budget=self.token_budget, max_length=self.max_length, catch=catch,
                    pin=device.type == "cuda", window=window)  # fmt: skip
        total = len(comparisons) if hasattr(comparisons, "__len__") else None
        with (
            tqdm(total=total, desc=progress, disable=progress is None, unit="cmp") as bar,
            closing(feed.loads(comparisons)) as loads,
        ):
            computed = ((load, self._rewards(load.packs)) for load in loads)
            results: dict[int, np.ndarray | Exception] = {}
            for load, reward_R in one_behind(computed) if device.type == "cuda" else computed:
                results |= self._results(load, reward_R, catch)
                bar.update(len(load.counts) + len(load.failed))
                if load.last:
                    unread = {i: item for i, item in enumerate(load.window.comparisons) if isinstance(item, Exception)}
                    bar.update(len(unread))
                    yield from (value for _, value in sorted((results | unread).items()))
                    results = {}

    def _results(self, load: Load, reward_R: torch.Tensor, catch: tuple) -> dict[int, np.ndarray | Exception]:
        rewards = np.split(reward_R.cpu().numpy(), np.cumsum(load.counts)[:-1])
        scored = ((i, (load.window.comparisons[i], reward_N)) for i, reward_N in zip(load.members, rewards))
        return load.failed | {i: attempt(_finite, pair, catch) for i, pair in scored}

    def _rewards(self, packs: Sequence[Pack]) -> torch.Tensor:
        """(R,) rewards of all packs; several are of one comparison, whose prefix the first one computes."""
        was_training = self.model.training
        self.model.eval()
        device, past = self.model.device, PrefixKeys() if len(packs) > 1 else None
        with torch.no_grad(), torch.autocast(device.type, dtype=self.autocast, enabled=self.autocast is not None):
            rewards = [self.model(on_device(pack, device), past) for pack in packs]
        self.model.train(was_training)
        return torch.cat(rewards) if rewards else torch.zeros(0)


def one_behind(items: Iterable[Item]) -> Iterator[Item]:
    """Each item after the next one was begun: a device has work while the rewards before are read from it."""
    before: list[Item] = []
    for item in items:
        yield from before
        before = [item]
    yield from before


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
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and (not is_whole or value < 1):
            raise ConfigError(f"{name}: expected a number of tokens of at least 1, found {value!r}; leave it out for the default")

"""Lengths and a seed -> encoded comparisons with random tokens and pictures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from transformers import PretrainedConfig

from basereward.backbones.qwen2_vl import rotary_positions
from basereward.encode import Encoded, Lengths
from basereward.patches import Grid
from basereward.records import Pair
from bench.models import END, SETTINGS

HERE = Path(__file__).parent
CHARACTERS_PER_TOKEN = 4


def text_lengths(name: str = "lengths.json") -> np.ndarray:
    """(rows, 3) tokens of the question and the two responses of each row of a file of lengths."""
    characters = json.loads((HERE / name).read_text(encoding="utf-8"))["characters"]
    return np.maximum(1, np.array(characters) // CHARACTERS_PER_TOKEN)


def draw(case: dict, spec: dict, config: PretrainedConfig, *, seed: int = 0) -> list[Encoded]:
    """The comparisons of a case: rows of real lengths without repetition, in random order.

    A ranking joins the responses of several rows under one question. A case without ``image_tokens`` is text alone.
    """
    lengths, rng = text_lengths(case.get("lengths", "lengths.json")), np.random.default_rng(seed)
    rows = case["responses"] // 2
    picked = rng.permutation(len(lengths))[: case["batches"] * case["comparisons"] * rows].reshape(-1, rows)
    grids = spec["grids"].get(case.get("image_tokens"))
    template = spec["prompt"]["template_tokens"]
    return [
        comparison(
            template + int(lengths[i][0, 0]), lengths[i][:, 1:].flatten() + 1, rng, config,
            grid=(1, *grids[rng.integers(len(grids))]) if grids else None, name=str(k),
        )
        for k, i in enumerate(picked)
    ]  # fmt: skip


def comparison(
    text: int, responses: Sequence[int], rng: np.random.Generator, config: PretrainedConfig, *, grid: Grid | None, name: str
) -> Encoded:
    """A prefix of ``text`` tokens and a picture, responses of these many tokens, their end included; the earlier is the better."""
    vocabulary = getattr(config, "image_token_id", config.get_text_config().vocab_size)
    ids = [*rng.integers(2, vocabulary, text)]
    if grid:
        image = [config.vision_start_token_id, *[config.image_token_id] * SETTINGS.num_tokens(grid), config.vision_end_token_id]
        ids[12:12] = image  # after the system prompt
    prefix = np.array(ids)
    if hasattr(config, "image_token_id"):
        positions, following = rotary_positions(prefix, config.image_token_id, [grid] if grid else [], SETTINGS.merge_size)
    else:
        positions, following = np.arange(len(prefix))[None], len(prefix)
    encoded = Encoded(
        prefix, positions, following, [np.array([*rng.integers(2, vocabulary, n - 1), END]) for n in responses],
        [grid] if grid else [], Lengths(len(prefix), tuple(map(int, responses)), (SETTINGS.num_tokens(grid),) if grid else ()),
        pairs=tuple(Pair(i, j) for i, j in itertools.combinations(range(len(responses)), 2)), id=name,
    )  # fmt: skip
    if grid:
        encoded.patches = [rng.integers(0, 256, (grid[1] * grid[2], 3 * SETTINGS.patch_size**2), dtype=np.uint8)]
    return encoded


def explode(items: Sequence[Encoded], rng: np.random.Generator) -> tuple[list[Encoded], np.ndarray]:
    """Rankings -> their pairs in random order, each with its own prompt and image; and which of the R rewards each row is."""
    first = np.cumsum([0] + [item.num_responses for item in items])
    pairs = [(c, pair) for c, item in enumerate(items) for pair in item.pairs]
    units, origin = [], []
    for k in rng.permutation(len(pairs)):
        c, pair = pairs[k]
        both = [pair.better, pair.worse]
        ids, counts = [items[c].response_ids[i] for i in both], tuple(items[c].lengths.responses[i] for i in both)
        lengths = replace(items[c].lengths, responses=counts)
        units.append(replace(items[c], response_ids=ids, lengths=lengths, pairs=(Pair(0, 1),)))
        origin += [int(first[c]) + i for i in both]
    return units, np.array(origin)


def single(item: Encoded) -> list[Encoded]:
    """Each response as a comparison of its own, with the same prompt and picture."""
    parts = zip(item.response_ids, item.lengths.responses)
    return [replace(item, response_ids=[ids], lengths=replace(item.lengths, responses=(n,)), pairs=()) for ids, n in parts]

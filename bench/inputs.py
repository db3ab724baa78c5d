"""Lengths and a seed -> encoded comparisons with random tokens and pictures, and the model they go through."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

from basereward.backbones.qwen2_vl import rotary_positions
from basereward.encode import Encoded, Lengths
from basereward.model import RewardModel
from basereward.patches import PatchSettings
from basereward.records import Pair

HERE = Path(__file__).parent
CHARACTERS_PER_TOKEN = 4
SETTINGS = PatchSettings(
    min_pixels=3136, max_pixels=12845056, patch_size=14, merge_size=2, frames=2, resample=3,
    mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711),
)  # fmt: skip


def text_lengths() -> np.ndarray:
    """(rows, 3) tokens of the query and the two responses of each VL-RewardBench row."""
    characters = json.loads((HERE / "lengths.json").read_text(encoding="utf-8"))["characters"]
    return np.maximum(1, np.array(characters) // CHARACTERS_PER_TOKEN)


def build_models(spec: dict, device: torch.device, dtype: torch.dtype) -> tuple[RewardModel, torch.nn.Module]:
    """Our reward model, and the same weights as transformers runs them."""
    vocabulary, width = spec["text_config"]["vocab_size"], spec["text_config"]["hidden_size"]
    half = width // spec["text_config"]["num_attention_heads"] // 2
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [half // 4, half * 3 // 8, half * 3 // 8]}
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    special = dict(zip(names, range(vocabulary - 4, vocabulary)))
    config = Qwen2_5_VLConfig(
        text_config=spec["text_config"] | {"rope_parameters": rope, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1},
        vision_config=spec["vision_config"], **special,
    )  # fmt: skip
    torch.manual_seed(0)
    stock = Qwen2_5_VLModel(config).to(device, dtype)
    ours = RewardModel.from_backbone(Qwen2_5_VLModel(copy.deepcopy(config)), {"_target_": "basereward.heads.mlp.MLPHead"}, seed=0)
    ours.model.load_state_dict(stock.state_dict())
    ours.model.to(device, dtype)
    ours.score.to(device)
    return ours, stock


def draw(lengths: np.ndarray, rng: np.random.Generator, case: dict, prompt: dict, config: Qwen2_5_VLConfig) -> list[Encoded]:
    """A batch: rows without repetition, in random order; a ranking joins the responses of several rows under one query."""
    rows = case["responses"] // 2
    picked = rng.permutation(len(lengths))[: case["comparisons"] * rows].reshape(-1, rows)
    return [_comparison(lengths[i], rng, prompt, config, name=str(k)) for k, i in enumerate(picked)]


def _comparison(lengths: np.ndarray, rng: np.random.Generator, prompt: dict, config: Qwen2_5_VLConfig, name: str) -> Encoded:
    """(rows, 3) text lengths -> one image, the first row's query, every row's two responses; the earlier is the better."""
    grid = (1, *prompt["grids"][rng.integers(len(prompt["grids"]))])
    image_tokens, text_end = SETTINGS.num_tokens(grid), config.image_token_id
    before, after = prompt["template_tokens"] // 2, prompt["template_tokens"] // 2 + int(lengths[0, 0])
    image = [config.vision_start_token_id, *[config.image_token_id] * image_tokens, config.vision_end_token_id]
    prefix = np.array([*rng.integers(2, text_end, before), *image, *rng.integers(2, text_end, after)])
    responses = [np.array([*rng.integers(2, text_end, n), 1]) for n in lengths[:, 1:].flatten()]
    positions, following = rotary_positions(prefix, config.image_token_id, [grid], SETTINGS.merge_size)
    patches = rng.integers(0, 256, (grid[1] * grid[2], 3 * SETTINGS.patch_size**2), dtype=np.uint8)
    pairs = tuple(Pair(i, j) for i, j in itertools.combinations(range(len(responses)), 2))
    sizes = Lengths(len(prefix), tuple(map(len, responses)), (image_tokens,))
    return Encoded(prefix, positions, following, responses, [grid], sizes, pairs=pairs, id=name, patches=[patches])


def explode(items: Sequence[Encoded], rng: np.random.Generator) -> tuple[list[Encoded], list[int]]:
    """Rankings -> their pairs in random order, each with its own prompt and image; and which of the R rewards each row is."""
    first = np.cumsum([0] + [item.num_responses for item in items])
    pairs = [(c, pair) for c, item in enumerate(items) for pair in item.pairs]
    units, origin = [], []
    for k in rng.permutation(len(pairs)):
        c, pair = pairs[k]
        both = [items[c].response_ids[i] for i in (pair.better, pair.worse)]
        units.append(replace(items[c], response_ids=both, pairs=(Pair(0, 1),)))
        origin += [int(first[c]) + pair.better, int(first[c]) + pair.worse]
    return units, origin

"""The reference of the model's tests: stock transformers on one padded row per response, built from the same comparison apart.

Nothing here calls the encoder, the packer or the tree: text goes through the tokenizer's chat template as one string with the
response, pictures through the stock image processor, positions are left to the stock model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from model_cases import CASES
from transformers import AutoTokenizer, Qwen2_5_VLModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.packing import Pack, collate
from basereward.records import Comparison

MLP = {"_target_": "basereward.heads.mlp.MLPHead"}


class Stock:
    """``Qwen2_5_VLModel`` as transformers runs it, with a copy of a reward model's head."""

    def __init__(self, folder: Path, head: torch.nn.Module):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = Qwen2VLImageProcessorPil.from_pretrained(folder)
        self.model = Qwen2_5_VLModel.from_pretrained(folder)
        self.score = copy.deepcopy(head)

    def pictures(self, comparison: Comparison) -> dict[str, torch.Tensor]:
        """The stock processor's pixel_values and image_grid_thw."""
        return dict(self.processor(images=list(comparison.images), return_tensors="pt")) if comparison.images else {}

    def rows(self, comparison: Comparison) -> list[list[int]]:
        """Token ids of prompt + response + closing token, each response's as one string."""
        prompt = self.tokenizer.apply_chat_template(list(comparison.messages), tokenize=False, add_generation_prompt=True)
        grids = self.pictures(comparison).get("image_grid_thw", torch.zeros(0, 3))
        for grid in grids.tolist():
            tokens = "<|place|>" * int(np.prod(grid) // self.processor.merge_size**2)
            prompt = prompt.replace("<|image_pad|>", tokens, 1)
        prompt = prompt.replace("<|place|>", "<|image_pad|>")
        return [self.tokenizer(prompt + response + "<|im_end|>")["input_ids"] for response in comparison.responses]

    def batch(self, comparisons: Sequence[Comparison]) -> dict[str, torch.Tensor]:
        """One right-padded row per response; the pictures repeated for each."""
        rows = [row for comparison in comparisons for row in self.rows(comparison)]
        ids = torch.full((len(rows), max(map(len, rows))), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        image = ids == self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        pictures = [self.pictures(c) for c in comparisons for _ in c.responses if c.images]
        joined = {key: torch.cat([p[key] for p in pictures]) for key in (pictures[0] if pictures else ())}
        return {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": image.int(), **joined}

    def rewards(self, comparisons: Sequence[Comparison]) -> torch.Tensor:
        """(R,) rewards at the last real token of each row."""
        batch = self.batch(comparisons)
        hidden = self.model(**batch, use_cache=False).last_hidden_state
        last = batch["attention_mask"].sum(1) - 1
        return self.score(hidden[torch.arange(len(last)), last])

    def gradients(self) -> dict[str, torch.Tensor | None]:
        """By the reward model's parameter names."""
        named = [(f"model.{n}", p) for n, p in self.model.named_parameters()]
        return {name: p.grad for name, p in named + [(f"score.{n}", p) for n, p in self.score.named_parameters()]}


@pytest.fixture(scope="session")
def encoder(tiny_folder) -> Encoder:
    return Encoder.from_folder(tiny_folder)


@pytest.fixture
def model(tiny_folder) -> RewardModel:
    return RewardModel.from_backbone(load_backbone(tiny_folder), MLP, seed=7)


@pytest.fixture
def stock(tiny_folder, model) -> Stock:
    return Stock(tiny_folder, model.score)


@pytest.fixture(scope="session")
def pack(encoder) -> Callable[[Sequence[Comparison]], Pack]:
    """Encodes comparisons and lays them side by side in one row."""
    return lambda comparisons: collate([encoder.encode(c) for c in comparisons], encoder.patch_settings)


@pytest.fixture(params=CASES)
def case(request) -> Comparison:
    return CASES[request.param]()


@pytest.fixture(scope="session")
def cases() -> list[Comparison]:
    """All of them, in a fixed order."""
    return [make() for make in CASES.values()]

"""The reference of the model's tests: stock transformers on one padded row per response, built from the same comparison apart.

Nothing here calls the encoder, the packer or the tree: text goes through the tokenizer's chat template as one conversation with the
response, pictures and image tokens through transformers' own processor, positions are left to the stock model. Every test that
uses a model is run for every family.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from model_cases import CASES
from stock_processors import conversation_text, stock_processor
from transformers import AutoModel
from twin_folders import CREATE

from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.packing import Pack, collate
from basereward.records import Comparison

MLP = {"_target_": "basereward.heads.mlp.MLPHead"}


@pytest.fixture(scope="session", params=CREATE)
def tiny_folder(request, twin) -> Path:
    """The checkpoint folder of each family's tiny member."""
    return twin(request.param)


class Stock:
    """A backbone as transformers runs it, with a copy of a reward model's head."""

    def __init__(self, folder: Path, head: torch.nn.Module):
        self.processor = stock_processor(folder)
        self.tokenizer = self.processor.tokenizer
        self.model = AutoModel.from_pretrained(folder)
        self.score = copy.deepcopy(head)

    def inputs(self, comparison: Comparison) -> list[dict[str, torch.Tensor]]:
        """For each response, what the stock processor gives for the whole conversation, up to the closing token."""
        rows = []
        for response in comparison.responses:
            answer = {"role": "assistant", "content": [{"type": "text", "text": response}]}
            text = conversation_text(self.processor, [*comparison.messages, answer]).removesuffix("\n")
            rows.append(dict(self.processor(text=[text], images=list(comparison.images) or None, return_tensors="pt")))
        return rows

    def rows(self, comparison: Comparison) -> list[list[int]]:
        """Token ids of prompt + response + closing token, each response's as one string."""
        return [row["input_ids"][0].tolist() for row in self.inputs(comparison)]

    def batch(self, comparisons: Sequence[Comparison]) -> dict[str, torch.Tensor]:
        """One right-padded row per response; the pictures repeated for each."""
        rows = [row for comparison in comparisons for row in self.inputs(comparison)]
        joined = {"input_ids": self.tokenizer.pad_token_id, "attention_mask": 0, "mm_token_type_ids": 0}
        batch = {
            key: torch.nn.utils.rnn.pad_sequence([row[key][0] for row in rows], batch_first=True, padding_value=padding)
            for key, padding in joined.items() if key in rows[0]
        }  # fmt: skip
        for key in ("pixel_values", "image_grid_thw"):
            if found := [row[key] for row in rows if key in row]:
                batch[key] = torch.cat(found)
        return batch

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


@pytest.fixture(scope="session")
def readable(encoder) -> Callable[[Comparison], Comparison]:
    """A comparison as the family can read it: without its pictures where there is no vision tower."""

    def strip(comparison: Comparison) -> Comparison:
        if encoder.patch_settings is not None:
            return comparison
        parts = [[part for part in m["content"] if part["type"] == "text"] for m in comparison.messages]
        messages = tuple(m | {"content": content} for m, content in zip(comparison.messages, parts))
        return dataclasses.replace(comparison, messages=messages, images=())

    return strip


@pytest.fixture(params=CASES)
def case(request, readable) -> Comparison:
    return readable(CASES[request.param]())


@pytest.fixture(scope="session")
def cases(readable) -> list[Comparison]:
    """All of them, in a fixed order."""
    return [readable(make()) for make in CASES.values()]

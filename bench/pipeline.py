"""Rows and picture files of exact lengths -> an encoder, a loader and epochs of steps, as training takes them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from basereward.batches import BatchSampler, Dealer, EncodedDataset, ToStep, make_loader
from basereward.demo.backbone import CHAT_TEMPLATE, IMAGE_PROCESSOR
from basereward.encode import Encoder
from basereward.losses.bradley_terry import BradleyTerry
from basereward.model import RewardModel
from basereward.parts import part_of
from basereward.records import Comparison, parse_row
from basereward.shares import MixtureOrder
from bench.copies import texture
from bench.inputs import text_lengths
from bench.models import END, PADDING, SPECIAL
from bench.setting import Setting

WORDS = 100


def make_encoder(setting: Setting) -> Encoder:
    """With a tokenizer of one token for each word, whose special tokens have the ids of the shape."""
    config = setting.models().ours.config
    markers = dict(
        zip(("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"), map(config.__getattribute__, SPECIAL))
    )
    special = {"<|endoftext|>": PADDING, "<|im_end|>": END, "<|im_start|>": 2} | markers
    vocabulary = special | {f"w{i}": 3 + i for i in range(WORDS)}
    model = Tokenizer(WordLevel(vocabulary, unk_token="<|endoftext|>"))
    model.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<|endoftext|>", eos_token="<|im_end|>", additional_special_tokens=[*special][2:]
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return Encoder(tokenizer, Qwen2VLImageProcessorPil(**IMAGE_PROCESSOR), config)


def write_rows(folder: Path, count: int, sizes: Sequence[tuple[int, int]], *, seed: int = 0) -> list[Comparison]:
    """Pairs of real lengths, each with a JPEG of its own of one of these (width, height)."""
    rng, lengths = np.random.default_rng(seed), text_lengths()
    picked, rows = rng.permutation(len(lengths))[:count], []
    for k, i in enumerate(picked):
        file = folder / f"{k}.jpg"
        file.write_bytes(_jpeg(sizes[rng.integers(len(sizes))], rng))
        question, chosen, rejected = (_words(n, rng) for n in lengths[i])
        row = {"prompt": question, "images": [str(file)], "chosen": chosen, "rejected": rejected}
        rows.append(parse_row(row, where=f"rows:{k}", default_id=str(k)))
    return rows


def _words(count: int, rng: np.random.Generator) -> str:
    return " ".join(f"w{i}" for i in rng.integers(0, WORDS, count))


def _jpeg(size: tuple[int, int], rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    texture(rng).resize(size).save(file, "JPEG", quality=90)
    return file.getvalue()


def loader_of(rows: Sequence[Comparison], encoder: Encoder, batch: int, budget: int, *, workers: int = 0, pin: bool = False):
    """Steps of an epoch in the order of the rows' mixture, which is the same for every loader of these rows."""
    dataset = EncodedDataset(rows, encoder, max_length=None, on_long="error")
    lengths = dataset.lengths.packed
    sampler = BatchSampler(MixtureOrder(dataset.comparisons.sizes, 0), batch, Dealer(lengths, lengths, budget))
    return make_loader(dataset, sampler, ToStep(encoder, "comparison"), workers=workers, pin=pin)


@contextlib.contextmanager
def trained(model: RewardModel, *parts: str) -> Iterator[None]:
    """Only these parts of the model have gradients while this lasts."""
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(part_of(name) in parts)
        yield
    finally:
        for parameter, learned in before:
            parameter.requires_grad_(learned).grad = None


def epoch(model: RewardModel, steps: Iterable, after_step: Callable[[], None] = lambda: None) -> torch.Tensor:
    """Forward and backward of every step; all rewards, comparisons in the order of their ids however they were dealt."""
    rewards: dict[str, torch.Tensor] = {}
    for step in steps:
        for pack in step.packs:
            pack = pack.to(model.device)
            reward_R = model(pack)
            (BradleyTerry()(reward_R, pack.labels) * pack.labels.weight_C).sum().div(step.total_weight).backward()
            rewards |= zip(pack.ids, reward_R.detach().split(pack.num_responses))
        after_step()
    return torch.cat([rewards[name] for name in sorted(rewards)])


@contextlib.contextmanager
def counted(module: torch.nn.Module) -> Iterator[list[None]]:
    """A list that grows by one entry with every call of the module."""
    calls: list[None] = []
    handle = module.register_forward_hook(lambda *args: calls.append(None))
    try:
        yield calls
    finally:
        handle.remove()

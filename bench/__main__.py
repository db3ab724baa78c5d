"""Comparisons per second, forward + backward: the packed path against stock transformers with a padded row per response.

    python -m bench                         (all cases of bench/cases.yaml; about ten minutes on 2 CPU cores)
    python -m bench --case pairs --rounds 5

Both run the same weights on the same rows in the same process, in turn, on batches that lie ready on the device; bf16 on a GPU,
float32 on a CPU. Each round draws its own batch from a fixed seed; ratios and seconds are medians over the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import transformers
import yaml

from basereward.encode import Encoded
from basereward.losses.bradley_terry import BradleyTerry
from basereward.packing import collate
from bench import padded
from bench.inputs import HERE, SETTINGS, build_models, draw, explode, text_lengths

HEADER = "| case | against | ratio | target | token floor | FLOP floor | seconds packed | seconds padded | comparisons/s | largest reward difference |"


@dataclass
class Round:
    """One opponent in one round; seconds of a batch, work of both sides."""

    seconds: tuple[float, float]
    tokens: tuple[int, int]
    flops: tuple[float, float]
    difference: float


def main() -> None:
    spec = yaml.safe_load((HERE / "cases.yaml").read_text(encoding="utf-8"))
    args = arguments(spec)
    device = torch.device(args.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    ours, stock = build_models(spec["model"], device, dtype)
    print(where(device, dtype, sum(p.numel() for p in ours.parameters())))
    print(HEADER, "|" + "---|" * HEADER.count(" | ") + "---|", sep="\n")
    for name in args.case:
        rounds = args.rounds or spec["cases"][name]["rounds"]
        results = [one_round(spec, name, seed, ours, stock, device, dtype) for seed in range(rounds)]
        for opponent, target in spec["cases"][name]["against"].items():
            print(line(name, opponent, target, spec["cases"][name]["comparisons"], [r[opponent] for r in results]), flush=True)


def arguments(spec: dict) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=spec["cases"], default=list(spec["cases"]))
    parser.add_argument("--rounds", type=int, help="batches measured; the median is printed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def one_round(spec, name, seed, ours, stock, device, dtype) -> dict[str, Round]:
    """Draws a batch and runs it through the packed path and each opponent."""
    case, rng = spec["cases"][name], np.random.default_rng(seed)
    items = draw(text_lengths(), rng, case, spec["prompt"], ours.config)
    pack = collate(items, SETTINGS).to(device)
    pack_work = work(ours, [(item.lengths.prefix, item.lengths.responses) for item in items], patches(items))

    def packed() -> torch.Tensor:
        reward_R = ours(pack)
        BradleyTerry()(reward_R, pack.pairs).sum().backward()
        return reward_R.detach()

    if seed == 0:
        padded.step(stock, ours.score, [padded.pad(items[:1], ours.config.image_token_id, device, dtype)])
        timed(packed, ours)
    our_seconds, our_rewards = timed(packed, ours)
    results = {}
    for opponent in case["against"]:
        units, origin = explode(items, rng) if opponent == "exploded_pairs" else (items, list(range(len(our_rewards))))
        size = spec["rows_per_forward"] // units[0].num_responses
        groups = [units[i : i + size] for i in range(0, len(units), size)]
        batches = [padded.pad(group, ours.config.image_token_id, device, dtype) for group in groups]
        seconds, rewards = timed(lambda: padded.step(stock, ours.score, batches), stock)
        shapes = [tuple(batch.inputs["input_ids"].shape) for batch in batches]
        stock_work = work(ours, [(0, (w,)) for n, w in shapes for _ in range(n)], 2 * patches(units))
        difference = (rewards - our_rewards[origin]).abs().max().item()
        results[opponent] = Round((our_seconds, seconds), *zip(pack_work, stock_work), difference)
    return results


def timed(run: Callable[[], torch.Tensor], model: torch.nn.Module) -> tuple[float, torch.Tensor]:
    """Seconds until all work of the device is done, and the rewards; gradients are cleared outside."""
    model.zero_grad(set_to_none=True)
    synchronize = torch.cuda.synchronize if next(model.parameters()).is_cuda else lambda: None
    synchronize()
    start = time.perf_counter()
    rewards = run()
    synchronize()
    return time.perf_counter() - start, rewards


def patches(items: Sequence[Encoded]) -> int:
    return sum(len(p) for item in items for p in item.patches)


def work(model, pieces: Sequence[tuple[int, Sequence[int]]], num_patches: int) -> tuple[int, float]:
    """Tokens, and floating-point operations that no exact method can avoid at these lengths, forward and backward.

    6 operations per weight and token in the layers of the language model, per weight and patch in those of the vision tower;
    12 per width and (query, key) pair that causal attention lets see each other, in each layer.
    """
    config = model.config.get_text_config()
    tokens = sum(prefix + sum(responses) for prefix, responses in pieces)
    seen = sum(prefix**2 / 2 + sum(n * prefix + n**2 / 2 for n in responses) for prefix, responses in pieces)
    text = sum(p.numel() for p in model.model.language_model.layers.parameters())
    vision = model.model.visual
    merger = sum(p.numel() for p in vision.merger.parameters())
    per_patch = sum(p.numel() for p in vision.parameters()) - merger * (1 - 1 / SETTINGS.merge_size**2)
    attention = 12 * config.num_hidden_layers * config.hidden_size * seen
    return tokens, 6 * (text * tokens + per_patch * num_patches) + attention


def line(name: str, opponent: str, target: float, comparisons: int, rounds: Sequence[Round]) -> str:
    """A row of the table."""
    ours, theirs = (statistics.median(r.seconds[side] for r in rounds) for side in (0, 1))
    ratio, tokens, flops = (
        statistics.median(getattr(r, key)[1] / getattr(r, key)[0] for r in rounds) for key in ("seconds", "tokens", "flops")
    )
    verdict = f"{target} {'met' if ratio >= target else 'MISSED'}"
    speed = f"{comparisons / ours:.2f} against {comparisons / theirs:.2f}"
    worst = max(r.difference for r in rounds)
    return f"| {name} | {opponent} | {ratio:.2f} | {verdict} | {tokens:.2f} | {flops:.2f} | {ours:.2f} | {theirs:.2f} | {speed} | {worst:.1e} |"


def where(device: torch.device, dtype: torch.dtype, num_parameters: int) -> str:
    """What a number needs beside it."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, python {platform.python_version()}"
    return f"{datetime.date.today()}: {name}{load}; {dtype}; {num_parameters / 1e6:.1f}M parameters; {versions}\n"


if __name__ == "__main__":
    main()

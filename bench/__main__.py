"""Comparisons per second, forward + backward: the packed path against stock transformers with a padded row per response.

    python -m bench                         (all cases of bench/cases.yaml; some ten minutes on 2 CPU cores)
    python -m bench --case pairs --rounds 5

Both sides run the same weights on the same rows in one process, in turn, on batches that lie ready on the device; bf16 on a GPU,
float32 on a CPU. The seconds of a case are the sum over its batches of the median over the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import functools
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
from basereward.model import RewardModel
from basereward.packing import Pack, collate
from bench import padded
from bench.inputs import HERE, SETTINGS, build_models, draw, explode, text_lengths

COLUMNS = ("case", "against", "ratio", "target", "rounds", "token floor", "FLOP floor", "seconds packed", "seconds padded",
           "comparisons/s", "largest reward difference")  # fmt: skip


@dataclass
class Side:
    """One way to compute one batch: how long it took in each round, what it had to compute, and the rewards."""

    seconds: list[float]
    tokens: int
    flops: float
    rewards: torch.Tensor


@dataclass
class Bench:
    """What all cases share."""

    spec: dict
    ours: RewardModel
    stock: torch.nn.Module
    device: torch.device
    dtype: torch.dtype
    clock: Callable[[], float]

    def batch(self, name: str, seed: int, rounds: int) -> dict[str, tuple[Side, Side]]:
        """Runs one batch through the packed path and through each opponent in turn, ``rounds`` times."""
        case, rng = self.spec["cases"][name], np.random.default_rng(seed)
        items = draw(text_lengths(), rng, case, self.spec["prompt"], self.ours.config)
        pack = collate(items, SETTINGS).to(self.device)
        runs = {"packed": functools.partial(packed_step, self.ours, pack)}
        shapes, origins = {"packed": [(i.lengths.prefix, i.lengths.responses) for i in items]}, {}
        images = {"packed": patches(items)}
        for opponent in case["against"]:
            units, origins[opponent] = explode(items, rng) if opponent == "exploded_pairs" else (items, slice(None))
            size = self.spec["rows_per_forward"] // units[0].num_responses
            groups = [units[i : i + size] for i in range(0, len(units), size)]
            batches = [padded.pad(group, self.ours.config.image_token_id, self.device, self.dtype) for group in groups]
            runs[opponent] = functools.partial(padded.step, self.stock, self.ours.score, batches)
            shapes[opponent] = [(0, (b.inputs["input_ids"].shape[1],)) for b in batches for _ in b.last]
            images[opponent] = units[0].num_responses * patches(units)
        sides = {key: Side([], *work(self.ours, shapes[key], images[key]), torch.empty(0)) for key in runs}
        for _ in range(rounds):
            for key, run in runs.items():
                seconds, sides[key].rewards = self.timed(run)
                sides[key].seconds.append(seconds)
        ours = sides.pop("packed")
        return {key: (Side(**vars(ours) | {"rewards": ours.rewards[origins[key]]}), side) for key, side in sides.items()}

    def timed(self, run: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
        """Seconds until all work of the device is done, and the rewards; gradients are cleared outside."""
        for model in (self.ours, self.stock):
            model.zero_grad(set_to_none=True)
        synchronize = torch.cuda.synchronize if self.device.type == "cuda" else lambda: None
        synchronize()
        start = self.clock()
        rewards = run()
        synchronize()
        return self.clock() - start, rewards


def main() -> None:
    """Measures the cases asked for and prints one Markdown table."""
    spec = yaml.safe_load((HERE / "cases.yaml").read_text(encoding="utf-8"))
    args = arguments(spec)
    device = torch.device(args.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    clock = time.process_time if args.cpu_time else time.perf_counter
    bench = Bench(spec, *build_models(spec["model"], device, dtype), device, dtype, clock)
    print(
        where(device, dtype, sum(p.numel() for p in bench.ours.parameters())), "CPU time" if args.cpu_time else "wall time", "\n"
    )
    print(f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", sep="\n", flush=True)
    bench.batch(args.case[0], seed=0, rounds=1)  # warm-up
    for name in args.case:
        batches = [bench.batch(name, seed, args.rounds) for seed in range(spec["cases"][name]["batches"])]
        for opponent, target in spec["cases"][name]["against"].items():
            row = line([b[opponent] for b in batches], target, spec["cases"][name]["comparisons"])
            print(f"| {name} | {opponent} | {row} |", flush=True)


def arguments(spec: dict) -> argparse.Namespace:
    """Which cases, how often, where."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=spec["cases"], default=list(spec["cases"]))
    parser.add_argument("--rounds", type=int, default=spec["rounds"], help="how often each batch is measured")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--cpu-time", action="store_true", help="CPU seconds, for a machine that others use too (OMP_NUM_THREADS=1)"
    )
    return parser.parse_args()


def packed_step(model: RewardModel, pack: Pack) -> torch.Tensor:
    """Forward and backward of a pack; (R,) rewards."""
    reward_R = model(pack)
    BradleyTerry()(reward_R, pack.labels).sum().backward()
    return reward_R.detach()


def patches(items: Sequence[Encoded]) -> int:
    """Image patches of the comparisons, each image once."""
    return sum(len(p) for item in items for p in item.patches)


def work(model: RewardModel, pieces: Sequence[tuple[int, Sequence[int]]], num_patches: int) -> tuple[int, float]:
    """Tokens, and floating-point operations of forward and backward at these lengths, as few as causal attention needs.

    6 per weight and token in the layers of the language model, 6 per weight and patch in the vision tower (its merger: per 4
    patches), and 12 per layer, unit of width and (query, key) pair that may see each other.
    """
    config, vision = model.config.get_text_config(), model.model.visual
    tokens = sum(prefix + sum(responses) for prefix, responses in pieces)
    seen = sum(prefix**2 / 2 + sum(n * prefix + n**2 / 2 for n in responses) for prefix, responses in pieces)
    text = sum(p.numel() for p in model.model.language_model.layers.parameters())
    merger = sum(p.numel() for p in vision.merger.parameters())
    per_patch = sum(p.numel() for p in vision.parameters()) - merger * (1 - 1 / SETTINGS.merge_size**2)
    attention = 12 * config.num_hidden_layers * config.hidden_size * seen
    return tokens, 6 * (text * tokens + per_patch * num_patches) + attention


def line(batches: Sequence[tuple[Side, Side]], target: float, comparisons: int) -> str:
    """The numbers of a row of the table."""
    ours, theirs = (sum(statistics.median(sides[k].seconds) for sides in batches) for k in (0, 1))
    tokens, flops = (
        sum(getattr(b, key) for _, b in batches) / sum(getattr(a, key) for a, _ in batches) for key in ("tokens", "flops")
    )
    by_round = [sum(b) / sum(a) for a, b in zip(*(zip(*(sides[k].seconds for sides in batches)) for k in (0, 1)))]
    worst = max((a.rewards - b.rewards).abs().max().item() for a, b in batches)
    count, ratio = comparisons * len(batches), theirs / ours
    return (
        f"{ratio:.2f} | {target} {'met' if ratio >= target else 'MISSED'} | {min(by_round):.2f} to {max(by_round):.2f} | "
        f"{tokens:.2f} | {flops:.2f} | {ours:.1f} | {theirs:.1f} | {count / ours:.2f} : {count / theirs:.2f} | {worst:.1e}"
    )


def where(device: torch.device, dtype: torch.dtype, num_parameters: int) -> str:
    """What a number needs beside it."""
    cpu = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else cpu
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, python {platform.python_version()}"
    return f"{datetime.date.today()}: {name}{load}; {dtype}; {num_parameters / 1e6:.1f}M parameters; {versions};"


if __name__ == "__main__":
    main()

"""Folders of grids as `basereward ablate` leaves them, with results drawn from known truths; for tests, and to look at a page:

python tests/judge/made_grids.py runs/drawn
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from basereward.grids.spec import GridSpec
from basereward.runtime import write_json
from basereward.samples import Sample

CATEGORIES = ("general", "hallucination", "reasoning")
VERSION = "sha256:1"


def write_grid(
    root: Path,
    factors: Mapping[str, Sequence[str]],
    gaps: Mapping[tuple[str, ...], float],
    *,
    seeds: int = 3,
    items: int = 600,
    seed_deviation: float = 0.01,
    benchmarks: Sequence[str] = ("demo",),
    baseline: Mapping[str, str] | None = None,
    states: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> Path:
    """Writes a grid's folder.

    Args:
        factors: key -> values, without the seeds.
        gaps: accuracy of a setting above three quarters, by its values; 0 where it is not named.
        states: name of a cell -> what differs from a run that is done; a cell whose state is not ``done`` has no results.
    """
    spec = GridSpec(name=root.name, experiment="demo", factors={**factors, "run.seed": list(range(seeds))},
                    baseline=dict(baseline or {key: values[0] for key, values in factors.items()}), evaluate=list(benchmarks))  # fmt: skip
    cells = list(_cells(factors, seeds))
    root.mkdir(parents=True, exist_ok=True)
    (root / "grid.yaml").write_text(yaml.safe_dump(asdict(spec)), encoding="utf-8")
    write_json(root / "cells.json", cells)
    generator = np.random.default_rng(seed)
    drawn = {name: _Items(items, generator) for name in benchmarks}
    for cell in cells:
        accuracy = 0.75 + gaps.get(tuple(cell["setting"].values()), 0.0)
        state = {"state": "done", "hash": cell["hash"], "step": 300, "steps": 300} | dict((states or {}).get(cell["name"], {}))
        write_run(
            root / "cells" / cell["name"], cell, accuracy + seed_deviation * generator.standard_normal(), state, drawn, generator
        )
    return root


def _cells(factors: Mapping[str, Sequence[str]], seeds: int) -> Iterator[dict[str, Any]]:
    settings: list[dict[str, str]] = [{}]
    for key, values in factors.items():
        settings = [{**setting, key: value} for setting in settings for value in values]
    for setting in settings:
        for seed in range(seeds):
            words = [*(f"{key}={value}" for key, value in setting.items()), f"run.seed={seed}"]
            yield {
                "name": ",".join(words),
                "setting": setting,
                "replicate": str(seed),
                "overrides": words,
                "hash": ",".join(words),
            }


class _Items:
    """Items that are easy or hard for every run; two to a prompt."""

    def __init__(self, number: int, generator: np.random.Generator):
        self.easy_N = np.repeat(generator.standard_normal(-(-number // 2)), 2)[:number] + generator.standard_normal(number)

    def samples(self, accuracy: float, generator: np.random.Generator) -> list[Sample]:
        """What a run of an accuracy makes of them."""
        level = math.log(accuracy / (1 - accuracy)) * 1.35
        margin_N = level + self.easy_N + generator.logistic(size=len(self.easy_N))
        return [
            Sample(f"i{k}", CATEGORIES[k // 2 % 3], f"g{k // 2}", "", ((0, 1),), (40, 41), (round(float(margin), 4), 0.0))
            for k, margin in enumerate(margin_N)
        ]


def write_run(
    folder: Path,
    cell: Mapping[str, Any],
    accuracy: float,
    state: Mapping[str, Any],
    drawn: Mapping[str, _Items],
    generator: np.random.Generator,
) -> None:
    """One run's directory: config, metrics, state, and results where it is done."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "state.json", dict(state))
    config: dict[str, Any] = {
        "run": {"dir": str(folder), "seed": int(cell["replicate"]), "max_steps": 300},
        "backbone": {"path": "tiny"},
    }
    for key, value in cell["setting"].items():
        node = config
        *path, last = key.split(".")
        for part in path:
            node = node.setdefault(part, {})
        node[last] = {"_target_": f"basereward.heads.{value}.Head", "width": len(value)} if key == "head" else value
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    if state["state"] == "waiting":
        return
    steps = range(10, state["step"] + 1, 10)
    rows = [{"step": step, "loss": 0.69 * math.exp(-step / 150) + 0.02 * generator.random()} for step in steps]
    rows += [
        {"step": step, "eval_loss": 0.4, "eval_accuracy": 0.5 + (accuracy - 0.5) * (1 - math.exp(-step / 80))}
        for step in steps[9::10]
    ]
    text = "".join(json.dumps(row) + "\n" for row in sorted(rows, key=lambda row: row["step"]))
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
    if state["state"] == "done":
        for name, items in drawn.items():
            write_results(folder / "eval" / name, name, items.samples(accuracy, generator))


def write_results(folder: Path, name: str, samples: Sequence[Sample], version: str = VERSION) -> None:
    """``results.json`` and ``samples.jsonl`` as `basereward evaluate` writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {
        "benchmark": name,
        "version": version,
        "official": None,
        "accuracy": float(np.mean([sample.rewards[0] > sample.rewards[1] for sample in samples])),
    }
    write_json(folder / "results.json", numbers)
    (folder / "samples.jsonl").write_text("".join(sample.line() for sample in samples), encoding="utf-8")


def heads(root: Path, **more: Any) -> Path:
    """Seven heads of which one is best; a run of it failed, and one of another is still running."""
    values = ("linear", "mlp2_none", "mlp2_tanh", "mlp", "mlp3_silu", "mlp4_silu", "gated")
    gaps = {("mlp2_tanh",): 0.03, ("mlp",): 0.055, ("mlp3_silu",): 0.01, ("gated",): 0.02}
    states = {
        "head=mlp,run.seed=2": {"state": "failed", "step": 120, "error": "OutOfMemoryError: 2 GiB_of 80% & more"},
        "head=gated,run.seed=1": {"state": "waiting"},
    }
    return write_grid(root, {"head": values}, gaps, **({"states": states, "items": 1250} | more))


def scaled(root: Path, **more: Any) -> Path:
    """A rate over three decades, crossed with a head, on two benchmarks."""
    rates = ("1e-6", "3e-6", "1e-5", "1e-4")
    gaps = {(head, rate): 0.02 * place + 0.03 * (head == "mlp") for head in ("linear", "mlp") for place, rate in enumerate(rates)}
    return write_grid(
        root, {"head": ("linear", "mlp"), "optim.lr": rates}, gaps, **({"benchmarks": ("demo", "vl_rewardbench")} | more)
    )


if __name__ == "__main__":
    number = {"items": int(sys.argv[2])} if len(sys.argv) > 2 else {}
    heads(Path(sys.argv[1]) / "heads", **number)
    scaled(Path(sys.argv[1]) / "scaled", **number)

"""The same run computed in other ways: recomputed layers, compiled layers, attention by name; the losses and weights are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from basereward import train

STEPS = ("run.max_steps=4", "run.eval_every=4", "run.log_every=1", "optim.warmup=0", "run.tensorboard=false")
WAYS = ("compute.attention=sdpa", "compute.liger=false", "backbone.gradient_checkpointing=1", "compute.compile=true")
# Of losses of about 0.7, and of weights after 4 steps of AdamW: sums in another order.
TOLERANCE = 1e-6


def result(run_dir: Path) -> tuple[list[float], dict[str, torch.Tensor]]:
    records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [record["loss"] for record in records if "loss" in record], load_file(run_dir / "final" / "model.safetensors")


@pytest.fixture
def expected(small) -> tuple[list[float], dict[str, torch.Tensor]]:
    settings = small("stock", *STEPS)
    assert train.run(settings) == 0
    return result(Path(settings.run.dir))


def test_ways_to_compute_do_not_change_a_run(small, expected, monkeypatch):
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: compiled(function, dynamic=dynamic, backend="eager"))
    for way in WAYS:
        settings = small(way.partition(".")[2].replace("=", "_"), *STEPS, way)
        assert train.run(settings) == 0
        losses, weights = result(Path(settings.run.dir))
        assert len(losses) == 4 and losses == pytest.approx(expected[0], abs=TOLERANCE), way
        assert weights.keys() == expected[1].keys(), way
        for name, weight in expected[1].items():
            torch.testing.assert_close(weights[name], weight, rtol=0, atol=TOLERANCE, msg=f"{way}: {name}")

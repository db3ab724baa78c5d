"""A tiny shape for the cases of bench/, which is not installed: its folder is the last place where an import looks."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch

sys.path += [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "model")]

from bench import setting as bench_setting

TINY = {
    "tokens_per_forward": 100_000,
    "text_config": {
        "vocab_size": 200, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1,
    },
    "vision_config": {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32, "fullatt_block_indexes": [1],
        "window_size": 112,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def setting() -> bench_setting.Setting:
    """One round on the tiny shape, with the cases as they are."""
    spec = bench_setting.read_spec()
    spec["shapes"]["tiny"] = TINY
    return bench_setting.Setting(spec, "tiny", torch.device("cpu"), torch.float32, rounds=1, clock=time.process_time)


@pytest.fixture
def case(setting):
    """A case of cases.yaml with few comparisons: its name -> its node."""

    def make(name: str, **changes) -> dict:
        return setting.spec["cases"][name] | {"comparisons": 2, "batches": 2, "image_tokens": 256} | changes

    return make

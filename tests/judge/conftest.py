"""A run directory with a small model of random weights, which judges like a coin and costs seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_rows import rows

from basereward import checkpoint
from basereward.backbone import load_backbone
from basereward.encode import Encoder
from basereward.model import RewardModel
from basereward.records import parse_row

MLP = {"_target_": "basereward.heads.mlp.MLPHead", "activation": "tanh"}


@pytest.fixture(scope="session")
def tiny_run(tiny_folder, tmp_path_factory) -> Path:
    """`<run>/final`, not to be written to; results go to a folder that the test names."""
    return make_run(tiny_folder, tmp_path_factory.mktemp("run"), seed=3)


@pytest.fixture(scope="session")
def other_run(tiny_folder, tmp_path_factory) -> Path:
    """As `tiny_run`, with another head."""
    return make_run(tiny_folder, tmp_path_factory.mktemp("other"), seed=4)


def make_run(tiny_folder: Path, run_dir: Path, seed: int) -> Path:
    """A run directory with a model of random weights."""
    model = RewardModel.from_backbone(load_backbone(tiny_folder), MLP, seed=seed).eval()
    probe = [parse_row(row, where=f"probe:{n}") for n, row in enumerate(rows())]
    checkpoint.save(model, Encoder.from_folder(tiny_folder), run_dir / checkpoint.FINAL, probe=probe)
    return run_dir

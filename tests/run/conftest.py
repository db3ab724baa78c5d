"""A small run of the real trainer on the demo's rows, made the way the command makes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_settings import SMALL

from basereward.compose import compose
from basereward.settings import TrainSettings


@pytest.fixture
def small(tmp_path: Path):
    """Settings of a 12-step run under ``tmp_path``; takes the run's name and more overrides."""

    def make(name: str, *overrides: str) -> TrainSettings:
        return compose("train", [*SMALL, f"run.dir={tmp_path / name}", *overrides], TrainSettings)

    return make

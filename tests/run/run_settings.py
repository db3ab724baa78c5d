"""The overrides of a small run on the demo's rows, and a run that is killed while it writes a checkpoint."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

SMALL = (
    "experiment=demo", "data.sources.demo.n=96", "data.val.n=24", "batch.size=8", "run.max_steps=12", "run.eval_every=4",
    "run.log_every=4", "run.tensorboard=false",
)  # fmt: skip


# Ends of the names of logged numbers that a clock or the machine's memory gives: two equal runs differ in them.
TIMED = ("per_second", "runtime", "data_wait", "mfu", "peak_memory_gib")

DIE_WHILE_SAVING = """
import os, signal, sys
from basereward import train
from basereward.compose import compose
from basereward.settings import TrainSettings
from basereward.trainer import RewardTrainer
half = RewardTrainer._save_optimizer_and_scheduler
def die(self, folder):
    half(self, folder)
    if self.state.global_step == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
RewardTrainer._save_optimizer_and_scheduler = die
train.run(compose("train", sys.argv[2:], TrainSettings))
"""


def killed_while_saving(step: int, overrides: Sequence[str]) -> None:
    """Trains in a process that is killed (SIGKILL) in the middle of writing a checkpoint, after its weights."""
    command = [sys.executable, "-c", DIE_WHILE_SAVING, str(step), *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]

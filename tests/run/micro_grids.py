"""A grid of two heads on a few of the demo's rows, run in this process or in one that is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from basereward import ablate
from basereward.grids.command import AblateSettings, read_grid
from basereward.grids.folder import Folder
from basereward.grids.launchers.base import Launcher
from basereward.grids.process import Job
from basereward.grids.state import State, stored_state
from basereward.grids.worker import run_cell

WORDS = (
    "experiment=demo", "head=linear,mlp", "data.sources.demo.n=48", "data.val.n=8", "batch.size=8", "run.max_steps=6",
    "run.eval_every=2", "run.log_every=2", "run.tensorboard=false",
    "ablation.evaluate=[{benchmark: demo, overrides: ['benchmark.num_comparisons=20']}]",
)  # fmt: skip
TIMED = ("per_second", "runtime", "data_wait", "mfu", "peak_memory_gib", "train_loss", "total_flos")


class InThisProcess(Launcher):
    """Runs without a process of their own, which saves the seconds that importing takes."""

    at_once = 1

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, State]]:
        for job in jobs:
            with mock.patch.object(sys, "argv", sys.argv):  # a run puts its own words there, which other tests must not find
                run_cell(job.root, job.name, job.pause_at)
            yield job, stored_state(Folder(job.root).run_dir(job.name))


def micro(folder: Path, *words: str, launcher: Mapping[str, Any] | None = None) -> AblateSettings:
    settings = read_grid([*WORDS, *words, f"grid.dir={folder}"])
    settings.launcher = dict(launcher or {"_target_": "micro_grids.InThisProcess"})
    return settings


def run_forked(settings: AblateSettings, kill_when: Callable[[Path], bool] | None = None) -> int | None:
    """Runs a grid in a process forked from this one; SIGKILLs it as soon as ``kill_when`` says so of the folder."""
    process = multiprocessing.get_context("fork").Process(target=lambda: os._exit(ablate.run(settings)))
    process.start()
    until = time.monotonic() + 240
    while process.is_alive() and time.monotonic() < until:
        if kill_when is not None and kill_when(Path(settings.folder)):
            os.kill(process.pid, signal.SIGKILL)
        process.join(0.01)
    assert not process.is_alive()
    return process.exitcode


def steps_of(run_dir: Path) -> list[int]:
    """The steps after which a run logged its loss."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row["step"] for row in rows if "loss" in row]


def outcome(folder: Path) -> dict[str, object]:
    """Cell -> what was measured, without clocks and places."""
    found = {}
    for run_dir in sorted((folder / "cells").iterdir()):
        rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        samples = (run_dir / "eval/demo/samples.jsonl").read_text(encoding="utf-8")
        results = json.loads((run_dir / "eval/demo/results.json").read_text(encoding="utf-8"))
        results = {key: value for key, value in results.items() if key not in ("model", "config_sha256")}
        found[run_dir.name] = (
            [{key: value for key, value in row.items() if not key.endswith(TIMED)} for row in rows], samples, results
        )  # fmt: skip
    return found

"""Two processes train as one: the same losses and weights, also where a rank has no pictures, and one run directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from run_settings import SMALL
from safetensors.torch import load_file

from basereward import train
from basereward.compose import compose
from basereward.demo import make_rows
from basereward.settings import TrainSettings

SCRIPT = Path(__file__).with_name("two_ranks.py")
TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(*command: str, processes: Sequence[str] = TOGETHER) -> subprocess.CompletedProcess:
    """A Python command, alone or as two processes with one thread each."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *processes, *command], capture_output=True, text=True, timeout=600, check=False, env=env
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done


def losses(run_dir: Path) -> list[float]:
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def without_markers(row: dict) -> dict:
    """A row whose messages name no picture."""
    messages = [m | {"content": [part for part in m["content"] if part["type"] == "text"]} for m in row["messages"]]
    return {**row, "messages": messages}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's questions; of three in four the picture is taken away, so that many a batch has pictures on one rank or on none."""
    folder = tmp_path_factory.mktemp("rows")
    with (folder / "rows.jsonl").open("w") as file:
        for k, row in enumerate(make_rows("train", 48, seed=0)):
            names = [f"{k}-{i}.png" for i, _ in enumerate(row["images"])] if k % 4 == 0 else []
            for name, data in zip(names, row["images"]):
                (folder / name).write_bytes(data)
            file.write(json.dumps({**(row if names else without_markers(row)), "images": names}) + "\n")
    return folder / "rows.jsonl"


@pytest.fixture(scope="module")
def ends(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ten steps in one process and in two, in float64 (as in ``test_one_pack_is_many_packs``, where the reason stands)."""
    folder, found = tmp_path_factory.mktemp("ends"), {}
    for name, processes, budget in (("one", (), 8192), ("two", TOGETHER, 100)):
        overrides = [
            "data=custom", f"data.path={rows}", "batch.size=4", f"batch.token_budget={budget}", "run.max_steps=10",
            "run.eval_every=5", "run.log_every=1", "run.tensorboard=false", "optim.lr=1e-3", f"run.dir={folder / name / 'run'}",
        ]  # fmt: skip
        start(str(SCRIPT), str(folder / name), "float64", *overrides, processes=processes)
        found[name] = folder / name
    return found


def largest_difference(a: Path, b: Path) -> float:
    first, second = load_file(a), load_file(b)
    assert first.keys() == second.keys()
    return max((first[name] - second[name]).abs().max().item() for name in first)


def test_two_processes_end_with_the_weights_of_one(ends):
    assert len(losses(ends["one"] / "run")) == 10
    assert losses(ends["two"] / "run") == pytest.approx(losses(ends["one"] / "run"), abs=1e-6)
    assert largest_difference(ends["one"] / "0.safetensors", ends["two"] / "0.safetensors") < 1e-6
    assert largest_difference(ends["two"] / "0.safetensors", ends["two"] / "1.safetensors") == 0


def test_the_ranks_share_each_batch(ends):
    alone, first, second = (
        json.loads(file.read_text()) for file in (ends["one"] / "0.json", ends["two"] / "0.json", ends["two"] / "1.json")
    )
    for batch, a, b in zip(alone, first, second, strict=True):
        assert sorted(sum(a + b, [])) == sorted(sum(batch, [])) and len(batch) == 1
        assert len(a) == len(b) >= 1


def test_validation_is_the_same(ends):
    one, two = (
        [json.loads(line) for line in (ends[name] / "run" / "metrics.jsonl").read_text().splitlines()] for name in ("one", "two")
    )
    for a, b in zip(one, two, strict=True):
        for name in ("accuracy", "ties", "margin", "eval_loss", "eval_accuracy", "eval_margin", "useful_tokens"):
            assert a.get(name) == pytest.approx(b.get(name), abs=1e-5), name


def test_a_checkpoint_has_the_generators_of_each_rank(ends):
    names = {path.name for path in (ends["two"] / "run" / "checkpoints" / "checkpoint-10").iterdir()}
    assert {"rng_state.pth", "rng_state_0.pth", "rng_state_1.pth", "optimizer.pt", "model.safetensors"} <= names
    assert "rng_state_0.pth" not in {p.name for p in (ends["one"] / "run" / "checkpoints" / "checkpoint-10").iterdir()}


def test_the_command_leaves_one_run_which_one_process_can_go_on_with(tmp_path):
    overrides = [*SMALL, "run.max_steps=8", f"run.dir={tmp_path / 'run'}", "run.keep=3", "run.final=last"]
    done = start("-m", "basereward.cli", "train", *overrides)
    assert done.stdout.count("report:") == 1
    run_dir = tmp_path / "run"
    assert (run_dir / "final" / "config.json").is_file() and (run_dir / "report.html").is_file()
    whole = load_file(run_dir / "final" / "model.safetensors")
    for name in ("final", "checkpoints/checkpoint-8"):
        shutil.rmtree(run_dir / name)
    assert train.run(compose("train", [*overrides, "run.resume=true"], TrainSettings)) == 0
    again = load_file(run_dir / "final" / "model.safetensors")
    # Four steps in float32, where a weight whose true gradient is 0 may move by its rate (7e-4) either way.
    assert max((whole[name] - again[name]).abs().max().item() for name in whole) < 4 * 2 * 7e-4
    assert len(losses(run_dir)) == 2


def test_an_error_of_rank_0_ends_all(tmp_path):
    """The others wait for it; the launcher ends them, and nothing is left."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "a", "chosen": "b"}\n')
    command = ["-m", "basereward.cli", "train", "data=custom", f"data.path={bad}", f"run.dir={tmp_path / 'never'}"]
    done = subprocess.run([sys.executable, *TOGETHER, *command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0 and "rejected" in done.stderr
    assert not (tmp_path / "never").exists()

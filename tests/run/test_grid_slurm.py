"""The script for a cluster, an array of jobs on a stand-in for Slurm, a job that is queued again, and submitit's local executor."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from micro_grids import micro, outcome, steps_of

from basereward import ablate
from basereward.errors import ConfigError, MissingDependency
from basereward.grids.folder import Folder
from basereward.grids.launchers.slurm import OneRun, Slurm, _left, is_over
from basereward.grids.process import Job
from basereward.grids.state import State, stored_state, write_state

pytest.importorskip("submitit")
long = pytest.mark.skipif(not os.environ.get("BASEREWARD_GRID_TESTS"), reason="minutes; set BASEREWARD_GRID_TESTS=1 to run it")

# Stand-ins for the four programs of Slurm that submitit calls: jobs are processes of this machine, in the background.
PROGRAMS = {
    "sbatch": 'cp "$1" "$FAKE/script"; for i in $(cat "$FAKE/tasks"); do "$FAKE/task" $i; done; echo "Submitted batch job 77"',
    "task": "SLURM_JOB_ID=77 SLURM_ARRAY_JOB_ID=77 SLURM_ARRAY_TASK_ID=$1 SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 "
    'SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1 sh "$FAKE/script" >"$FAKE/out$1" 2>&1 &',
    "srun": 'while true; do case "$1" in --output) shift 2;; --*) shift;; *) break;; esac; done; '
    'echo $$ > "$FAKE/pid$SLURM_ARRAY_TASK_ID"; exec "$@"',
    "sacct": 'echo "JobID|State|NodeList"; cat "$FAKE/states"',
    "scontrol": '"$FAKE/task" "${2##*_}"; echo requeued >> "$FAKE/requeued"',
}


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """A folder with the programs, first on the path."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "states").write_text("77_0|RUNNING|here\n77_1|RUNNING|here\n")
    (folder / "tasks").write_text("0 1")
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def launcher(**keys) -> dict:
    return {"_target_": "basereward.grids.launchers.slurm.Slurm", "cpus": 1, "gpus": 0, "threads": 1, **keys}


def jobs(root: Path) -> list[Job]:
    return [Job(str(root), name, attempts=2) for name in ("head=linear", "head=mlp")]


def test_the_script_asks_for_what_the_config_says(tmp_path):
    slurm = Slurm(partition="gpu", account="me", minutes=90, gpus=8, cpus=64, memory_gib=500, at_once=4, setup=["module load cuda"],
                  more={"constraint": "h100"})  # fmt: skip
    text = slurm.script([*jobs(tmp_path), *(Job(str(tmp_path), f"c{n}", 1) for n in range(6))])
    for flag in ("array=0-7%4", "partition=gpu", "account=me", "time=90", "gpus-per-node=8", "cpus-per-task=64", "mem=500GB",
                 "constraint=h100", "signal=USR2@90", "open-mode=append"):  # fmt: skip
        assert f"#SBATCH --{flag}\n" in text
    assert "module load cuda\n" in text and f"submitit.core._submit {tmp_path / 'slurm'}" in text
    assert "--array" not in slurm.script(jobs(tmp_path)[:1]) and not (tmp_path / "slurm").exists()


def test_the_plan_of_a_grid_shows_the_script(tmp_path):
    assert "#SBATCH --partition=gpu" in ablate.plan(micro(tmp_path / "grid", launcher=launcher(partition="gpu")))


@pytest.mark.parametrize("wrong", [{"minutes": 0}, {"cluster": "lsf"}, {"cpus": "many"}])
def test_values_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"launcher.{next(iter(wrong))}"):
        Slurm(**wrong)


def test_a_machine_without_slurm_or_submitit_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="launcher.cluster=local"):
        Slurm().check()
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingDependency, match=r"basereward\[slurm\]"):
        Slurm().check()


def test_a_job_that_waits_in_the_queue_is_not_submitted_again(cluster, tmp_path):
    place = tmp_path / "slurm"
    place.mkdir()
    (place / "jobs.json").write_text(json.dumps({"head=linear": "88_0", "head=mlp": "88_1"}))
    (cluster / "states").write_text("88_0|PENDING|None\n88_1|CANCELLED by 1000|None\n")
    found = Slurm()._in_queue(place, jobs(tmp_path))
    assert list(found) == ["head=linear"] and found["head=linear"].job_id == "88_0" and not is_over(found["head=linear"])


def test_a_job_that_ended_without_a_word_is_a_failure(tmp_path):
    class Handle:
        job_id, state = "9_1", "TIMEOUT"
        paths = type("Paths", (), {"stdout": "out.txt"})

    write_state(tmp_path, State("running", attempts=1))
    state = _left(tmp_path, Handle())
    assert state.state == "failed" and "job 9_1 is TIMEOUT" in state.error and "out.txt" in state.error
    write_state(tmp_path, State("done"))
    assert _left(tmp_path, Handle()).state == "done"


def test_what_is_queued_again_is_the_same_job():
    again = OneRun(jobs(Path("x"))[0], 1).checkpoint()
    assert again.function.job.name == "head=linear" and not again.args and not again.kwargs


@long
def test_an_array_ends_with_the_numbers_of_a_sequential_grid_though_a_job_is_queued_again(cluster, tmp_path):
    assert ablate.run(micro(tmp_path / "whole")) == 0
    settings = micro(tmp_path / "array", launcher=launcher())
    first = Folder(settings.folder).run_dir("head=linear")

    def take_the_machine():
        """The signal that Slurm sends before it ends a job."""
        while not (first / "checkpoints/checkpoint-2").is_dir():
            time.sleep(0.005)
        os.kill(int((cluster / "pid0").read_text()), signal.SIGUSR2)

    threading.Thread(target=take_the_machine, daemon=True).start()
    assert ablate.run(settings) == 0
    assert outcome(tmp_path / "array") == outcome(tmp_path / "whole")
    assert (cluster / "requeued").read_text() == "requeued\n" and stored_state(first).attempts == 2


@long
def test_a_run_of_two_processes_is_trained_by_both_and_told_by_one(tmp_path):
    keys = {"_target_": "basereward.grids.launchers.basic.Basic", "processes": 2, "threads": 1}
    settings = micro(tmp_path / "two", launcher=keys)
    assert ablate.run(settings) == 0
    folder = Folder(settings.folder)
    run_dir = folder.run_dir("head=linear")
    assert stored_state(run_dir).attempts == 1 and steps_of(run_dir) == [2, 4, 6]
    assert (run_dir / "checkpoints/checkpoint-6/rng_state_1.pth").is_file()  # of the second process


@long
def test_submitits_local_executor_gives_the_same(tmp_path):
    assert ablate.run(micro(tmp_path / "whole")) == 0
    assert ablate.run(micro(tmp_path / "local", launcher=launcher(cluster="local", at_once=1))) == 0
    assert outcome(tmp_path / "local") == outcome(tmp_path / "whole")

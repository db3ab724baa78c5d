"""A grid comes to its end whatever happens on the way, every run is trained once, and the numbers are those of an undisturbed one."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
from micro_grids import micro, outcome, run_forked, steps_of

from basereward import ablate
from basereward.cli import main
from basereward.config_folders import groups
from basereward.errors import ConfigError, MissingDependency
from basereward.grids import process, worker
from basereward.grids.command import read_grid
from basereward.grids.folder import Folder
from basereward.grids.launchers.parallel import Parallel
from basereward.grids.process import Job, run_job
from basereward.grids.state import State, state_of, stored_state, write_state
from basereward.grids.status import duration, status_text
from basereward.run_lock import lock, unlock

LINEAR, MLP = "head=linear", "head=mlp"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A grid that nothing disturbed."""
    folder = tmp_path_factory.mktemp("grid") / "whole"
    assert ablate.run(micro(folder)) == 0
    return folder


def test_a_run_is_an_ordinary_one_with_its_state_beside_it(whole):
    cells = json.loads((whole / "cells.json").read_text())
    assert [cell["name"] for cell in cells] == [LINEAR, MLP]
    for cell in cells:
        run_dir = whole / "cells" / cell["name"]
        state = json.loads((run_dir / "state.json").read_text())
        assert (state["state"], state["hash"], state["attempts"], state["error"]) == ("done", cell["hash"], 1, None)
        assert (state["step"], state["steps"]) == (6, 6) and state["seconds"] > 0
        assert (run_dir / "final/config.json").is_file() and (run_dir / "eval/demo/results.json").is_file()
        assert cell["name"] in (run_dir / "overrides.txt").read_text().split()
    assert (whole / "grid.yaml").is_file()


def test_killed_twice_it_gives_the_same_and_trains_nothing_twice(whole, tmp_path):
    folder = tmp_path / "killed"
    first, second = folder / "cells" / LINEAR, folder / "cells" / MLP
    assert run_forked(micro(folder), lambda _: (first / "checkpoints/checkpoint-4").is_dir()) == -9
    assert state_of(first).state == "killed"  # marked as running by a process that is gone
    assert "1 killed, 1 waiting" in status_text(Folder(folder), Folder(folder).cells())
    assert run_forked(micro(folder), lambda _: (second / "checkpoints/checkpoint-2").is_dir()) == -9
    assert run_forked(micro(folder)) == 0
    assert outcome(folder) == outcome(whole)
    assert [stored_state(place).attempts for place in (first, second)] == [2, 2]
    assert all(steps_of(place) == [2, 4, 6] for place in (first, second))


def test_finished_runs_are_skipped_and_a_new_benchmark_is_all_that_is_done(whole, tmp_path, capsys, monkeypatch):
    before = {file: file.stat().st_mtime_ns for file in whole.rglob("*") if file.is_file()}
    assert ablate.run(micro(whole)) == 0
    changed = {file.name for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert changed <= {"grid.yaml", "cells.json", ".lock"} and "2 done before" in capsys.readouterr().out
    monkeypatch.setattr("basereward.train.run", lambda settings: pytest.fail("trained again"))
    entry = "{benchmark: demo, overrides: ['benchmark.num_comparisons=20']}"
    again = f"ablation.evaluate=[{entry},{{benchmark: demo, overrides: ['benchmark.num_comparisons=10', 'benchmark.seed=1']}}]"
    assert ablate.run(micro(whole, again)) == 0
    assert len(list((whole / "cells" / LINEAR / "eval").iterdir())) == 2


def test_damaged_results_are_made_again_and_nothing_is_trained(whole, capsys, monkeypatch):
    before = outcome(whole)
    monkeypatch.setattr("basereward.train.run", lambda settings: pytest.fail("trained again"))
    broken, cut = (whole / "cells" / name / "eval/demo" for name in (LINEAR, MLP))
    (broken / "results.json").write_text('{"version')
    (cut / "samples.jsonl").write_bytes((cut / "samples.jsonl").read_bytes()[:-9])
    assert ablate.plan(micro(whole)).count("judged") == 2
    assert ablate.run(micro(whole)) == 0
    assert "0 done before, 2 trained before and left to judge" in capsys.readouterr().out
    assert outcome(whole) == before
    assert "plan: 0 runs of 2" in ablate.plan(micro(whole))
    other = json.loads((cut / "results.json").read_text()) | {"version": "0"}
    (cut / "results.json").write_text(json.dumps(other))
    assert "plan: 1 run of 2" in ablate.plan(micro(whole))
    (cut / "results.json").write_text(json.dumps(other | {"version": "1 (seed 0, 20 comparisons)"}))
    (whole / "cells" / MLP / "final/config.json").rename(whole / "config.json")
    assert "plan: 1 run of 2" in ablate.plan(micro(whole))
    (whole / "config.json").rename(whole / "cells" / MLP / "final/config.json")


def test_a_finished_run_is_known_by_its_hash_under_another_name(whole, capsys, monkeypatch):
    monkeypatch.setattr("basereward.train.run", lambda settings: pytest.fail("trained again"))
    bundles = "+ablation.factors={setup: [{name: one, set: ['head=linear']}, {name: two, set: ['head=mlp']}]}"
    words = [word for word in micro(whole).words if not word.startswith("head=")]
    settings = micro(whole, bundles)
    settings.words = words
    renamed = ablate.plan(settings)
    assert renamed.count("skip: done") == 2
    assert ablate.run(settings) == 0
    assert {path.name for path in (whole / "cells").iterdir()} == {"setup=one", "setup=two"}
    assert ablate.run(micro(whole)) == 0  # and back again


def test_a_failing_run_does_not_end_the_grid(tmp_path, capsys, monkeypatch):
    def fail(settings):
        if settings.head["_target_"].endswith("LinearHead"):
            raise RuntimeError("no memory\nleft")
        raise ConfigError("optim.lr: wrong")

    monkeypatch.setattr("basereward.train.run", fail)
    assert ablate.run(micro(tmp_path / "grid")) == 1
    out = capsys.readouterr().out
    assert "2 failed" in out and f"{LINEAR}: RuntimeError: no memory left" in out and f"{MLP}: optim.lr: wrong" in out
    monkeypatch.setattr("basereward.train.run", lambda settings: 0)  # the next start tries again
    monkeypatch.setattr("basereward.grids.worker.is_finished", lambda run_dir: (run_dir / "state.json").is_file())
    monkeypatch.setattr("basereward.evaluate.run", lambda settings: 0)
    assert ablate.run(micro(tmp_path / "grid")) == 0


@pytest.mark.parametrize(("codes", "starts"), [([1, 0], 2), ([-9, -9, 0], 2), ([2, 0], 1), ([75], 1), ([0], 1)])
def test_what_may_pass_is_tried_again_and_what_would_come_again_is_not(tmp_path, monkeypatch, codes, starts):
    run_dir = tmp_path / "cells/a"
    run_dir.mkdir(parents=True)
    (run_dir / "log.txt").write_text("bar 3%\rbar 4%\n\n")
    write_state(run_dir, State("running", attempts=1))
    left = list(codes)
    monkeypatch.setattr(process, "_one_attempt", lambda *given: left.pop(0))
    state = run_job(Job(str(tmp_path), "a", attempts=2))
    assert len(codes) - len(left) == starts
    if codes[starts - 1] == -9:
        assert (state.state, state.error) == ("failed", "ended by SIGKILL (memory?); last line: bar 4%")


def test_a_second_start_is_refused_while_one_runs(tmp_path):
    settings = micro(tmp_path / "grid")
    run_dir = Folder(settings.folder).run_dir(LINEAR)
    run_dir.mkdir(parents=True)
    lock(run_dir)
    lock(run_dir.parents[1])
    try:
        assert run_forked_code(settings) == "refused"
        write_state(run_dir, State("running"))
        assert run_forked_code(settings, look=True) == "running"
    finally:
        unlock(run_dir)
        unlock(run_dir.parents[1])
    assert state_of(run_dir).state == "killed"


def run_forked_code(settings, *, look: bool = False) -> str:
    """What another process meets: a grid that is taken, or the state of a run that a process has."""
    import multiprocessing

    def tell(pipe):
        try:
            pipe.send(state_of(Folder(settings.folder).run_dir(LINEAR)).state if look else str(ablate.run(settings)))
        except ConfigError as error:
            pipe.send("refused" if "no other process runs a grid in" in str(error) else str(error))

    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=tell, args=(there,))
    child.start()
    child.join(60)
    return here.recv()


def test_a_run_of_another_config_is_not_continued(whole):
    with pytest.raises(ConfigError, match=r"run\.max_steps: 6 then, 8 now"):
        ablate.run(micro(whole, "run.max_steps=8"))


def test_at_a_rung_the_worse_run_is_stopped_and_the_stopped_run_can_go_on(whole, tmp_path, monkeypatch, capsys):
    """The decision is forced, as a few steps tell nothing; all else is real. Run to the end, all are as without rungs."""
    monkeypatch.setattr("basereward.grids.halving.accuracy_at", lambda run_dir, step: 0.1 if "linear" in run_dir.name else 0.9)
    settings = micro(tmp_path / "halved", "+ablation.halving={rungs: [2], z: 0.5}")
    assert ablate.run(settings) == 0
    folder = Folder(settings.folder)
    linear, mlp = (folder.run_dir(cell) for cell in folder.cells())
    assert (stored_state(linear).state, stored_state(mlp).state) == ("stopped", "done")
    assert steps_of(linear) == [2] and steps_of(mlp) == [2, 4, 6]
    (rung,) = json.loads((folder.root / "rungs.json").read_text())
    assert (rung["rung"], rung["step"], rung["stopped"]) == (0, 2, ["head=linear"])
    assert rung["scores"] == {"head=linear": 0.1, "head=mlp": 0.9} and "standard errors" in rung["rule"]
    attempts = stored_state(mlp).attempts
    assert ablate.run(settings) == 0 and stored_state(mlp).attempts == attempts  # nothing is left to do
    assert "1 done, 1 stopped" in capsys.readouterr().out
    assert ablate.run(micro(tmp_path / "halved")) == 0  # without rungs the stopped run goes on
    assert outcome(tmp_path / "halved") == outcome(whole)


@pytest.mark.skipif(
    "BASEREWARD_GRID_TESTS" not in os.environ, reason="two more processes that import torch; CI's step of grids runs it"
)
def test_side_by_side_gives_the_same_to_the_last_bit(whole, tmp_path):
    """Two processes at once, each with one thread, as the reference had."""
    settings = micro(
        tmp_path / "two", launcher={"_target_": "basereward.grids.launchers.parallel.Parallel", "n_jobs": 2, "threads": 1}
    )
    assert ablate.run(settings) == 0
    assert outcome(tmp_path / "two") == outcome(whole)


def test_each_slot_has_a_gpu_and_a_share_of_the_cores(monkeypatch):
    monkeypatch.setattr("basereward.grids.launchers.parallel.visible_devices", lambda: ["0", "3"])
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    launcher = Parallel()
    assert [launcher.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(launcher.at_once)] == ["0", "3"]
    assert launcher.environment(0)["OMP_NUM_THREADS"] == "4"
    with pytest.raises(ConfigError, match=r"launcher\.n_jobs"):
        Parallel(n_jobs=0)


def test_a_missing_library_is_said_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(MissingDependency, match=r"pip install 'basereward\[parallel\]'"):
        Parallel().check()


def test_a_run_ends_with_the_process_that_started_it():
    """Its standard input is a pipe, which closes however that process ends."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.dup2(reading, 0)
        worker._end_with_parent()
        time.sleep(60)
        os._exit(99)
    os.close(reading)
    time.sleep(0.2)
    assert os.waitpid(child, os.WNOHANG) == (0, 0)  # it goes on while the pipe is open
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == worker.BROKE


@pytest.mark.parametrize("name", groups()["launcher"])
def test_every_launcher_is_made_from_its_file(name, tmp_path):
    settings = read_grid([f"launcher={name}", f"grid.dir={tmp_path}"])
    assert ablate.make_launcher(settings).at_once >= 1


def test_the_rest_is_estimated_from_what_finished(tmp_path):
    settings = micro(tmp_path / "grid", "run.seed=0,1")
    folder = Folder(settings.folder)
    cells = ablate.cells_of(settings.spec)
    folder.root.mkdir()
    folder.write(settings.spec, cells)
    for cell, state in zip(cells, ("done", "running", "done", "failed")):
        run_dir = folder.run_dir(cell)
        write_state(run_dir, State(state, cell.hash, seconds={"linear": 100.0, "mlp": 40.0}[cell.setting["head"]], error="boom"
                                   if state == "failed" else None))  # fmt: skip
    running = folder.run_dir(cells[1])
    (running / "metrics.jsonl").write_text('{"step": 2, "loss": 0.7}\n{"step": 4, "lo')
    (running / "config.yaml").write_text("run: {max_steps: 8}\n")
    text = status_text(folder, cells)
    assert "2 done, 1 killed, 1 failed; about 75 s left" in text  # three quarters of what the same setting took
    assert "2/8" in text and "boom" in text
    assert [duration(seconds) for seconds in (89, 3540, 3600)] == ["89 s", "59 min", "1 h 00 min"]


def test_status_and_dry_run_from_the_command_line(whole, capsys, tmp_path):
    assert main(["ablate", f"grid.dir={whole}", "--status"]) == 0
    assert "2 runs: 2 done" in capsys.readouterr().out
    assert main(["ablate", "ablation=heads_tiny", f"grid.dir={tmp_path / 'new'}", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "18 runs of 18" in out and not (tmp_path / "new").exists()
    assert main(["ablate", f"grid.dir={tmp_path / 'new'}", "--status"]) == 2
    assert "expected the folder of a grid" in capsys.readouterr().err


def test_what_a_frozen_model_computes_is_shared_by_the_grid(whole):
    folder = Folder(whole)
    cell = folder.cells()[0]
    assert worker.settings_in(folder, cell, None).cache.dir == str(whole / "cache")
    cell.overrides.append("cache.dir=mine")
    assert worker.settings_in(folder, cell, None).cache.dir == "mine"

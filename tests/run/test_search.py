"""A search finds the top of a known function, tries the same values again when it is started again, and keeps to its ranges."""

from __future__ import annotations

import json
import math
import sys

import pytest
from micro_grids import InThisProcess, micro

from basereward import ablate
from basereward.errors import ConfigError, MissingDependency
from basereward.grids.folder import Folder
from basereward.grids.search import Search, Trial, check_library, propose, read_search, spread, trial_cells
from basereward.grids.spec import GridSpec
from basereward.grids.state import State, write_state

RATES = {"optim.lr": {"low": 1e-6, "high": 1e-2, "log": True}}
WORDS = (
    "+ablation.search={keys: {optim.lr: {low: 1e-6, high: 1e-2, log: true}}, trials: 8, batch: 4, startup: 4}",
    "run.seed=0,1",
)


def top(rate: float) -> float:
    """Highest at 1e-3."""
    return 1 - 0.1 * (math.log10(rate) + 3) ** 2


class Measured(InThisProcess):
    """A run's validation accuracy is ``top`` of its rate; ``dies_after`` runs this process is interrupted."""

    dies_after = 10**9
    started: list[str] = []

    def run(self, jobs):
        for job in jobs:
            if len(self.started) >= self.dies_after:
                raise KeyboardInterrupt
            self.started.append(job.name)
            folder = Folder(job.root)
            cell = next(cell for cell in folder.cells() if cell.name == job.name)
            run_dir = folder.run_dir(cell)
            rate = float(cell.setting["optim.lr"])
            (run_dir / "metrics.jsonl").write_text(f'{{"step": 2, "eval_accuracy": {top(rate)}}}\n')
            state = State("done", cell.hash, judged=dict(self.wanted))
            write_state(run_dir, state)
            (run_dir / "final").mkdir(exist_ok=True)
            (run_dir / "final/config.json").touch()
            yield job, state


@pytest.fixture
def measured(monkeypatch):
    launcher = Measured()
    launcher.started = []
    monkeypatch.setattr("basereward.grids.folder.is_judged", lambda run_dir, entry: True)
    made = ablate.make_runs

    def keep_wanted(*given):
        runs = made(*given)
        launcher.wanted = runs.wanted
        return runs

    monkeypatch.setattr(ablate, "make_runs", keep_wanted)
    monkeypatch.setattr(ablate, "make_launcher", lambda settings: launcher)
    return launcher


def searched(folder) -> list[dict]:
    return json.loads((folder / "search.json").read_text())


def settings(folder):
    found = micro(folder, *WORDS)
    found.words = [word for word in found.words if not word.startswith("head=")]
    return found


def test_it_finds_the_top_and_an_interrupted_one_tries_the_same(tmp_path, measured, capsys):
    assert ablate.run(settings(tmp_path / "whole")) == 0
    trials = searched(tmp_path / "whole")
    assert len(trials) == 8 and all(len(trial["cells"]) == 2 for trial in trials)
    best = max(trials, key=lambda trial: trial["score"])
    assert abs(math.log10(best["params"]["optim.lr"]) + 3) < 0.5
    assert best["score"] == pytest.approx(top(best["params"]["optim.lr"]), abs=1e-12)
    assert "best of 8 trials: {'optim.lr'" in capsys.readouterr().out
    measured.started, measured.dies_after = [], 11  # in the middle of the second batch
    with pytest.raises(KeyboardInterrupt):
        ablate.run(settings(tmp_path / "killed"))
    measured.dies_after = 10**9
    assert ablate.run(settings(tmp_path / "killed")) == 0
    assert searched(tmp_path / "killed") == trials
    assert len(measured.started) == len(set(measured.started)) == 16  # no run twice


def test_proposals_depend_on_the_scores_alone():
    search = Search(RATES, trials=20, batch=2, startup=2)
    known = [Trial(number, {"optim.lr": rate}, top(rate), is_over=True) for number, rate in enumerate([1e-5, 1e-3, 1e-4, 2e-3])]
    again = [propose(search, known) for _ in range(2)]
    assert again[0] == again[1] and [trial.number for trial in again[0]] == [4, 5]
    assert all(1e-6 <= trial.params["optim.lr"] <= 1e-2 for trial in again[0])
    assert len(propose(search, [Trial(number, {"optim.lr": 1e-4}) for number in range(19)])) == 1


def test_its_cells_are_those_of_the_trials_with_every_replicate():
    spec = GridSpec(experiment="demo", factors={"run.seed": [0, 1]}, search={"keys": RATES, "trials": 3})
    params = spread(read_search({"keys": RATES | {"head.activation": {"choices": ["silu", "tanh"]}}, "trials": 3}))
    cells = trial_cells(spec, params)
    assert len(cells) == 6 and {cell.replicate for cell in cells} == {"0", "1"}
    assert all(set(cell.setting) == {"optim.lr", "head.activation"} for cell in cells)
    with pytest.raises(ConfigError, match="found head"):
        trial_cells(GridSpec(factors={"head": ["mlp"]}), params)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"keys": RATES}, "expected {keys"),
        ({"keys": {"optim.lr": {"low": 1, "high": 0}}, "trials": 3}, r"search\.keys\.optim\.lr"),
        ({"keys": {"optim.lr": {"low": 0, "high": 1, "log": True}}, "trials": 3}, r"search\.keys\.optim\.lr"),
        ({"keys": RATES, "trails": 3}, "did you mean 'trials'"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(given, expected):
    with pytest.raises(ConfigError, match=expected):
        read_search(given)


def test_without_the_library_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependency, match=r"pip install 'basereward\[search\]'"):
        check_library()

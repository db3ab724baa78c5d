"""Settings that are clearly worse at a rung are stopped with all their seeds, and what goes on ends as if it had never paused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from micro_grids import InThisProcess, micro

from basereward import ablate
from basereward.errors import ConfigError
from basereward.grids.cells import Cell
from basereward.grids.halving import Halving, decide, read_halving


def cells(*names: str) -> list[Cell]:
    return [Cell(f"{name}{seed}", {"head": name}, str(seed), [], name) for name in names for seed in (0, 1)]


def went_on(rule: Halving, accuracies: dict[str, float], num_val: int = 10**9) -> dict[str, bool]:
    names = sorted({name[0] for name in accuracies})
    return {score.setting["head"]: score.goes_on for score in decide(rule, cells(*names), accuracies, num_val)}


def test_the_best_share_goes_on_and_the_clearly_worse_is_stopped():
    accuracies = {"a0": 0.80, "a1": 0.82, "b0": 0.79, "b1": 0.81, "c0": 0.60, "c1": 0.62, "d0": 0.50, "d1": 0.52}
    assert went_on(Halving([100]), accuracies) == {"a": True, "b": True, "c": False, "d": False}
    assert went_on(Halving([100], keep=0.75), accuracies) == {"a": True, "b": True, "c": True, "d": False}


def test_what_is_within_noise_of_the_best_goes_on():
    """Seeds differ by 0.02 in each of four settings: variance 0.0002, and the error of a difference of means of two is 0.01414."""
    accuracies = {"a0": 0.80, "a1": 0.82, "b0": 0.79, "b1": 0.81, "c0": 0.775, "c1": 0.795, "d0": 0.765, "d1": 0.785}
    limit = 2 * math.sqrt(0.0002 * (1 / 2 + 1 / 2))
    scores = decide(Halving([100]), cells("a", "b", "c", "d"), accuracies, 10**9)
    assert [score.limit for score in scores[1:]] == pytest.approx([limit] * 3)
    assert [score.goes_on for score in scores] == [True, True, True, False]  # c is 0.025 below, d 0.035; the limit is 0.0283
    assert went_on(Halving([100], z=3), accuracies)["d"]


def test_seeds_that_agree_by_chance_do_not_make_a_difference_of_few_comparisons():
    accuracies = {"a0": 0.80, "a1": 0.80, "b0": 0.76, "b1": 0.76}
    assert went_on(Halving([100]), accuracies) == {"a": True, "b": False}
    assert went_on(Halving([100]), accuracies, num_val=200) == {"a": True, "b": True}


def test_a_setting_whose_runs_all_failed_is_neither_ranked_nor_counted():
    accuracies = {"a0": 0.9, "a1": 0.9, "c0": 0.5}
    scores = decide(Halving([100]), cells("a", "b", "c"), accuracies, 10**9)
    assert [(score.setting["head"], score.n, score.goes_on) for score in scores] == [("a", 2, True), ("c", 1, False)]
    assert decide(Halving([100]), cells("a"), {}, 10) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rungs": [3]}, "multiples of run.eval_every=2"),
        ({"rungs": [6]}, "below run.max_steps=6"),
        ({"rungs": [4, 2]}, "steps that rise"),
        ({"rungs": [2], "keep": 1.5}, "0 < keep < 1"),
        ({"rungs": [2], "kept": 0.5}, "did you mean 'keep'"),
    ],
)
def test_rules_that_make_no_sense_are_refused(tmp_path, given, expected):
    with pytest.raises(ConfigError, match=expected):
        read_halving(given, ablate.cells_of(micro(tmp_path).spec))


def test_every_run_stands_at_the_rung_before_one_goes_on(tmp_path, monkeypatch):
    seen = []

    class Recording(InThisProcess):
        def run(self, jobs):
            seen.append([(job.name, job.pause_at) for job in jobs])
            yield from ()

    monkeypatch.setattr(ablate, "make_launcher", lambda settings: Recording())
    monkeypatch.setattr("basereward.grids.halving.accuracy_at", lambda run_dir, step: 0.5)
    ablate.run(micro(tmp_path / "grid", "+ablation.halving={rungs: [2, 4]}"))
    both = ["head=linear", "head=mlp"]
    assert seen == [[(name, 2) for name in both], [(name, 4) for name in both], [(name, None) for name in both]]
    assert not Path(tmp_path / "grid/cells/head=mlp/state.json").exists()

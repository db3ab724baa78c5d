"""A grid's folder, or a list of runs -> settings, runs and numbers; what is missing is told, what does not go together is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from made_grids import heads, scaled, write_grid, write_results

from basereward import grid_results
from basereward.errors import ConfigError, DataError
from basereward.grid_page.columns import rows
from basereward.grid_settings import setting_name
from basereward.samples import read_samples


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return heads(tmp_path_factory.mktemp("grids") / "heads", items=60)


@pytest.fixture
def small(tmp_path):
    return write_grid(tmp_path / "small", {"head": ("linear", "mlp")}, {}, seeds=2, items=30)


def by_hand(folder, head: str, seeds: list[int]) -> list[float]:
    """Accuracies from the samples alone."""
    files = [folder / "cells" / f"head={head},run.seed={seed}" / "eval" / "demo" / "samples.jsonl" for seed in seeds]
    return [
        float(np.mean([sample["rewards"][0] > sample["rewards"][1] for sample in map(json.loads, file.read_text().splitlines())]))
        for file in files
    ]


def test_numbers_are_those_of_the_samples(folder):
    grid = grid_results.read(folder)
    found = grid.tables()["demo"]
    assert (grid.name, grid.baseline, grid.replicate, list(grid.factors)) == ("heads", "linear", "run.seed", ["head"])
    assert (found.n, found.num_groups, list(found.settings)) == (60, 30, grid.factors["head"])
    for head, seeds in (("linear", [0, 1, 2]), ("mlp", [0, 1]), ("gated", [0, 2])):
        assert found.settings[head].seed_means == pytest.approx(by_hand(folder, head, seeds))
        assert found.settings[head].mean == pytest.approx(np.mean(by_hand(folder, head, seeds)))
        assert found.settings[head].deviation == pytest.approx(np.std(by_hand(folder, head, seeds), ddof=1))
    difference = found.settings["mlp"].difference
    assert difference.value == pytest.approx(
        np.mean(by_hand(folder, "mlp", [0, 1])) - np.mean(by_hand(folder, "linear", [0, 1, 2]))
    )


def test_missing_runs_are_told_with_their_reason(folder):
    found = {(run.name, benchmark): why for run, benchmark, why in grid_results.read(folder).missing()}
    assert found == {
        ("head=mlp,run.seed=2", "demo"): "failed at step 120 of 300: OutOfMemoryError: 2 GiB_of 80% & more",
        ("head=gated,run.seed=1", "demo"): "not started",
    }


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"state": "stopped", "step": 100, "error": "behind at rung 1"}, "stopped at step 100 of 300: behind at rung 1"),
        ({"state": "running", "step": 50}, "killed"),
        ({"state": "paused", "step": 50}, "waits at step 50 of 300"),
        ({"state": "done"}, "not judged"),
    ],
)
def test_whatever_became_of_a_run_it_is_no_number(tmp_path, state, why):
    """A setting none of whose runs was judged has a row without numbers; a run that no process works on was killed."""
    states = {f"head=mlp,run.seed={seed}": state for seed in (0, 1)}
    benchmarks = () if state["state"] == "done" else ("demo",)
    folder = write_grid(tmp_path / "g", {"head": ("linear", "mlp")}, {}, seeds=2, items=30, states=states, benchmarks=benchmarks)
    if not benchmarks:
        (folder / "grid.yaml").write_text(
            yaml.safe_dump({**yaml.safe_load((folder / "grid.yaml").read_text()), "evaluate": ["demo"]})
        )
    grid = grid_results.read(folder)
    reasons = [reason for run, _, reason in grid.missing() if run.setting == "mlp"]
    assert len(reasons) == 2 and all(reason.startswith(why) for reason in reasons)
    row = next(row for row in rows(grid) if row["setting"] == "mlp")
    assert (
        row["mean"] is None and row["difference"] is None and row["runs"] == 0 and row["planned"] == 2 and why in row["missing"]
    )


def test_a_baseline_without_results_leaves_the_others_their_means(tmp_path):
    states = {f"head=linear,run.seed={seed}": {"state": "failed", "error": "x"} for seed in (0, 1)}
    folder = write_grid(tmp_path / "g", {"head": ("linear", "mlp", "gated")}, {}, seeds=2, items=30, states=states)
    found = grid_results.read(folder).tables()["demo"]
    assert list(found.settings) == ["mlp", "gated"]
    assert all(of.difference is None and 0 < of.mean < 1 for of in found.settings.values())


def test_another_baseline_and_one_that_is_not_there(small):
    found = grid_results.read(small, baseline="mlp").tables()["demo"]
    assert found.settings["mlp"].difference is None and found.settings["linear"].difference is not None
    with pytest.raises(ConfigError, match="baseline: expected a setting, found 'mpl'; did you mean 'mlp'"):
        grid_results.read(small, baseline="mpl")


def test_the_baseline_of_the_grids_file(tmp_path):
    folder = write_grid(tmp_path / "g", {"optim.lr": ("1e-6", "1e-5")}, {}, seeds=2, items=30, baseline={"optim.lr": 1e-5})
    assert grid_results.read(folder).baseline == "1e-5"


def rewrite(folder, cell: str, change) -> None:
    place = folder / "cells" / cell / "eval" / "demo"
    samples = change(read_samples(place / "samples.jsonl"))
    (place / "samples.jsonl").write_text("".join(sample.line() for sample in samples))


def test_items_are_matched_by_id(small):
    before = grid_results.read(small).tables()["demo"].settings["mlp"]
    rewrite(small, "head=mlp,run.seed=1", lambda samples: samples[::-1])
    assert grid_results.read(small).tables()["demo"].settings["mlp"] == before


def test_fewer_items_are_refused_with_the_place(small):
    rewrite(small, "head=mlp,run.seed=1", lambda samples: samples[:-1])
    with pytest.raises(DataError, match=r"cells/head=mlp,run.seed=1/eval/demo/samples.jsonl: item i29: .*no such item"):
        grid_results.read(small)


def test_another_version_is_refused_with_both_places(small):
    place = small / "cells" / "head=mlp,run.seed=1" / "eval" / "demo"
    write_results(place, "demo", read_samples(place / "samples.jsonl"), version="sha256:2")
    with pytest.raises(
        DataError, match=r"head=mlp,run.seed=1/eval/demo: expected .* version sha256:1, as in .*head=linear.*sha256:2"
    ):
        grid_results.read(small)


def test_two_versions_that_all_runs_have_are_two_columns(small):
    for place in sorted((small / "cells").iterdir()):
        write_results(
            place / "eval" / "demo-2", "demo", read_samples(place / "eval" / "demo" / "samples.jsonl"), version="sha256:2"
        )
    grid = grid_results.read(small)
    assert sorted(grid.benchmarks) == ["demo", "demo-2"]


def test_several_benchmarks_share_the_level(tmp_path):
    folder = scaled(tmp_path / "s", items=60, seeds=2)
    two = grid_results.read(folder)
    assert list(two.factors) == ["head", "optim.lr"] and two.baseline == "head=linear lr=1e-6"
    one = two.benchmarks["demo"].compared(two.baseline)
    width = [t.settings["head=mlp lr=1e-4"].difference.interval_all for t in (one, two.tables()["demo"])]
    assert width[1][1] - width[1][0] > 1.05 * (width[0][1] - width[0][0])


def test_categories_are_those_of_the_items(folder):
    grid = grid_results.read(folder)
    found = grid.categories("demo")
    assert sorted(found) == ["general", "hallucination", "reasoning"] and all(of.n == 20 for of in found.values())
    means = [np.mean([of.settings["linear"].mean for of in found.values()]), grid.tables()["demo"].settings["linear"].mean]
    assert means[0] == pytest.approx(means[1])


# A list of runs
def some(folder, *heads_of_runs: str) -> list:
    return [folder / "cells" / f"head={name}" for name in heads_of_runs]


def test_runs_that_differ_by_seed_alone_are_one_setting(folder):
    """Nothing is compared, so nothing can be called different."""
    grid = grid_results.read(some(folder, "linear,run.seed=0", "linear,run.seed=1"))
    assert list(grid.settings) == ["all runs"] and [run.replicate for run in grid.runs] == ["0", "1"]
    found = grid.tables()["demo"]
    assert found.settings["all runs"].difference is None and found.settings["all runs"].seed_means == by_hand(
        folder, "linear", [0, 1]
    )


def test_runs_that_differ_by_keys_are_settings(folder):
    grid = grid_results.read(some(folder, "mlp,run.seed=0", "mlp,run.seed=1", "linear,run.seed=0", "linear,run.seed=1"))
    assert list(grid.settings) == ["Head(width=3)", "Head(width=6)"] and grid.baseline == "Head(width=3)"
    assert grid.tables()["demo"].settings["Head(width=6)"].seed_means == by_hand(folder, "linear", [0, 1])


def test_another_seed_does_not_make_two_settings_one(folder):
    """Each setting has a seed of its own: the head still tells them apart."""
    grid = grid_results.read(some(folder, "mlp,run.seed=0", "linear,run.seed=1"))
    assert len(grid.settings) == 2 and not grid.tables()["demo"].knows_seeds


def test_the_same_run_twice_is_refused(folder, tmp_path):
    copy = write_grid(tmp_path / "copy", {"head": ("linear",)}, {}, seeds=1, items=30)
    with pytest.raises(ConfigError, match=r"found .*run.seed=0 and .*run.seed=0 alike"):
        grid_results.read([*some(folder, "linear,run.seed=0"), copy / "cells" / "head=linear,run.seed=0"])


def test_a_folder_that_is_neither(tmp_path):
    with pytest.raises(ConfigError, match=r"expected the folder of a grid, or runs with config.yaml; found none"):
        grid_results.read(tmp_path)


def test_names_of_settings():
    assert setting_name({"data.a.weight": "1", "data.b.weight": "2"}) == "data.a.weight=1 data.b.weight=2"


def test_a_group_is_the_benchmarks_that_were_at_hand(small):
    file = small / "grid.yaml"
    file.write_text(
        yaml.safe_dump({**yaml.safe_load(file.read_text()), "evaluate": [{"benchmark": "all", "overrides": ["missing=skip"]}]})
    )
    grid = grid_results.read(small)
    assert list(grid.expected) == [] and list(grid.benchmarks) == ["demo"] and not list(grid.missing())

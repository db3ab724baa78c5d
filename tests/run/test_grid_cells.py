"""A grid's file and its command line become cells: as many as crossed, zipped and conditioned factors have, each another run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from basereward.errors import ConfigError
from basereward.grids.cells import cells_of, settings_of
from basereward.grids.command import read_grid
from basereward.grids.spec import GridSpec
from basereward.grids.spec_checks import evaluate_settings

ROOT = Path(__file__).resolve().parents[2]
HEADS = {"head": ["linear", "mlp"], "run.seed": [0, 1]}


def demo(**keys) -> GridSpec:
    return GridSpec(**{"name": "test", "experiment": "demo", **keys})


def names(spec: GridSpec, *words: str) -> list[str]:
    return [cell.name for cell in cells_of(spec, words)]


def refusal(spec: GridSpec, *words: str) -> str:
    with pytest.raises(ConfigError) as error:
        cells_of(spec, words)
    return str(error.value)


def test_factors_are_crossed_and_the_first_varies_slowest():
    cells = cells_of(demo(factors=HEADS))
    assert [cell.name for cell in cells] == [
        "head=linear,run.seed=0", "head=linear,run.seed=1", "head=mlp,run.seed=0", "head=mlp,run.seed=1",
    ]  # fmt: skip
    assert (cells[3].setting, cells[3].replicate) == ({"head": "mlp"}, "1")
    settings = settings_of(cells[3], "somewhere")
    assert settings.head["num_layers"] == 2 and settings.run.seed == 1 and settings.optim.lr == 7e-4
    assert settings.run.dir == "somewhere" and settings.data["sources"]["demo"]["seed"] == 1


def test_zipped_factors_run_in_step():
    spec = demo(
        factors={"optim.lr": [1e-5, 1e-4], "head": ["linear", "mlp"], "batch.size": [8, 16]}, zip=[["optim.lr", "batch.size"]]
    )
    assert names(spec) == [
        "optim.lr=1e-5,head=linear,batch.size=8", "optim.lr=1e-5,head=mlp,batch.size=8",
        "optim.lr=0.0001,head=linear,batch.size=16", "optim.lr=0.0001,head=mlp,batch.size=16",
    ]  # fmt: skip
    assert "ablation.zip" in refusal(demo(factors={"optim.lr": [1e-5], "batch.size": [8, 16]}, zip=[["optim.lr", "batch.size"]]))


def test_conditions_keep_cells_and_leave_factors_unset():
    factors = {"head": ["linear", "mlp"], "head.width": [8, 16]}
    without = {"when": {"head": "linear"}, "without": ["head.width"]}  # a linear head has no width
    assert names(demo(factors=factors, only=[without])) == ["head=linear", "head=mlp,head.width=8", "head=mlp,head.width=16"]
    keep = {"when": {"head": ["mlp"]}, "keep": {"head.width": [16]}}
    assert names(demo(factors=factors, only=[without, keep])) == ["head=linear", "head=mlp,head.width=16"]
    assert "did you mean 'mlp'" in refusal(demo(factors=factors, only=[{"when": {"head": "mpl"}, "without": ["head.width"]}]))
    assert "found none left" in refusal(demo(factors={"head": ["mlp"], "optim.lr": [1e-3, 1e-4]},
                                             only=[{"when": {"optim.lr": 1e-3}, "keep": {"optim.lr": [1e-4]}},
                                                   {"when": {"optim.lr": 1e-4}, "keep": {"optim.lr": [1e-3]}}]))  # fmt: skip


def test_the_grid_of_the_documents_has_as_many_cells_as_it_says():
    text = (ROOT / "docs" / "ablations.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    spec = GridSpec(**yaml.safe_load(text))
    assert "# 10 runs" in text and len(cells_of(spec)) == 10
    assert settings_of(cells_of(spec)[0]).head["_target_"].endswith("LinearHead")
    assert [evaluate_settings(entry, "m").benchmark["_target_"][-15:] for entry in spec.evaluate] == [
        "o.DemoBenchmark",
        "CustomBenchmark",
    ]


def test_a_bundle_sets_several_keys_under_one_name():
    bundle = {"name": "frozen", "set": ["parts=frozen_vision", "optim.lr=1e-5"]}
    cell = cells_of(demo(factors={"setup": [bundle, {"name": "full", "set": ["parts=full"]}]}))[0]
    assert (cell.name, cell.setting) == ("setup=frozen", {"setup": "frozen"})
    assert settings_of(cell).optim.lr == 1e-5 and "vision" not in settings_of(cell).parts.train
    assert "ablation.factors.setup" in refusal(demo(factors={"setup": [{"name": "frozen"}]}))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["head=linear,mlp", "run.seed=range(0,2)"], 4),
        (["head=glob(mlp*)"], 6),
        (["optim.lr=1e-3,1e-4", "run.max_steps=7"], 2),
        (["run.max_steps=7"], 1),
    ],
)
def test_the_command_line_makes_a_grid_in_hydras_sweep_syntax(words, expected):
    cells = cells_of(read_grid(["experiment=demo", *words]).spec)
    assert len(cells) == len({cell.hash for cell in cells}) == expected
    assert settings_of(cells[0]).run.max_steps == (7 if "run.max_steps=7" in words else 1200)


def test_words_take_the_place_of_what_the_file_has():
    spec = demo(factors=HEADS, base=["optim.lr=1e-3"], baseline={"head": "linear"})
    assert names(spec, "head=gated,mlp") == [
        "head=gated,run.seed=0",
        "head=gated,run.seed=1",
        "head=mlp,run.seed=0",
        "head=mlp,run.seed=1",
    ]
    assert names(spec, "head=gated", "run.seed=5") == ["head=gated,run.seed=5"]
    assert settings_of(cells_of(spec, ["optim.lr=1e-4"])[0]).optim.lr == 1e-4
    assert len(cells_of(spec, ["optim.lr=1e-4,1e-5"])) == 8
    assert settings_of(cells_of(spec, ["experiment=demo_long"])[0]).run.max_steps == 5000


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (demo(factors={"optim.rl": [1e-3]}), "ablation.factors.optim.rl: optim.rl: no such key; did you mean 'optim.lr'"),
        (demo(factors={"head": ["linaer"]}), "ablation.factors.head: head=linaer: there is no such head; did you mean 'linear'"),
        (demo(base=["bacth.size=4"]), "ablation.base: bacth"),
        (demo(experiment="demmo"), "ablation.experiment: experiment=demmo: there is no such experiment; did you mean 'demo'"),
        (demo(factors={"head": "mlp"}), "ablation.factors.head: expected a list"),
        (demo(factors={"head": ["mlp", "mlp"]}), "ablation.factors.head: expected each value once"),
        (demo(factors=HEADS, baseline={"head": "linaer"}), "ablation.baseline.head: linaer is no value of this factor; did you mean"),
        (demo(factors=HEADS | {"optim.lr": [1e-3, 1e-4]}, baseline={"head": "mlp"}), "expected one setting; found 2"),
    ],
)  # fmt: skip
def test_mistakes_are_said_with_the_key_of_the_grids_file(spec, expected):
    assert expected in refusal(spec)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ablation=heads_tny"], "did you mean 'heads_tiny'"),
        (["ablaton=heads"], "did you mean 'ablation'"),
        (["grid.dri=x"], "did you mean 'grid.dir'"),
        (["optim.lr=interval(1e-6,1e-4)"], "an interval"),
    ],
)
def test_mistakes_on_the_command_line_are_said(words, expected):
    with pytest.raises(ConfigError, match=expected):
        cells_of(read_grid(words).spec)


def test_cells_that_are_the_same_run_are_refused_with_both_names_and_the_reason():
    said = refusal(demo(factors={"compute.attention": ["auto", "sdpa"]}))
    assert "compute.attention=auto and compute.attention=sdpa" in said and "how fast" in said
    said = refusal(demo(factors={"head": ["mlp", {"name": "two_layers", "set": ["head=mlp3_silu", "head.num_layers=2"]}]}))
    assert "head=mlp and head=two_layers" in said and "no key of the config differs" in said


def test_the_hash_is_of_what_changes_a_result_alone():
    def of(*words):
        return cells_of(demo(base=list(words)))[0].hash

    assert of() == of("run.log_every=7", "cache.dir=elsewhere") and of() != of("optim.lr=1e-4") != of("run.seed=1")
    same = demo(factors={"setup": [{"name": "mine", "set": ["head=mlp", "run.seed=1"]}]})  # another name for the same run
    assert cells_of(same)[0].hash in {cell.hash for cell in cells_of(demo(factors=HEADS))}


def test_names_are_folders_and_stay_apart():
    found = names(demo(factors={"init_from": [f"my runs/{'long ' * 40}{end}" for end in "ab"] + ["runs/a b", "runs/a-b"]}))
    assert len({name.lower() for name in found}) == 4
    assert all(len(name) < 150 and " " not in name and "/" not in name for name in found)


def test_benchmarks_are_composed_before_anything_runs():
    assert evaluate_settings("demo", "m").benchmark["_target_"].endswith("DemoBenchmark")
    entry = {"benchmark": "custom", "overrides": ["benchmark.path=held out.jsonl"]}
    assert evaluate_settings(entry, "m").benchmark["path"] == "held out.jsonl"
    for wrong in ("dmeo", {"bench": "demo"}, {"benchmark": "demo", "overrides": ["benchmark.sede=1"]}):
        with pytest.raises(ConfigError, match=r"ablation\.evaluate"):
            evaluate_settings(wrong, "m")

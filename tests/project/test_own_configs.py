"""`--config-dir DIR`: YAML files of the user's own, of every group, beside those of the toolkit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from basereward.cli import main
from basereward.compose import compose
from basereward.config_folders import VARIABLE, groups, looking_in, options
from basereward.data_settings import read_data_settings
from basereward.errors import ConfigError
from basereward.settings import TrainSettings

MIX = """# Two files.
defaults:
  - /recipe@sources.a: custom
  - /recipe@sources.b: mine
  - _self_
sources:
  a: {path: pairs.jsonl, weight: 1}
  b: {weight: 3}
total: 8
"""
RECIPE = "# A file of ours.\n_target_: basereward.data_recipes.custom.Custom\npath: pairs.jsonl\nkeep_ties: true\n"
EXPERIMENT = "# @package _global_\n# A run of ours.\ndefaults:\n  - override /data: my_mix\nbatch:\n  size: 4\n"
BENCHMARK = "# Our items.\n_target_: basereward.benchmarks.custom.CustomBenchmark\npath: pairs.jsonl\nrecipe: null\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    row = {"prompt": "Hi", "chosen": "Hello.", "rejected": "No."}
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row | {"prompt": f"Hi {k}"}) + "\n" for k in range(20)))
    return tmp_path


@pytest.fixture
def folder(elsewhere) -> Path:
    """With a space, an umlaut and a quote, as folders of users have."""
    place = elsewhere / "my ü 'files'"
    for name, text in {
        "data/my_mix": MIX,
        "recipe/mine": RECIPE,
        "experiment/my_run": EXPERIMENT,
        "benchmark/ours": BENCHMARK,
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.yaml").write_text(text, encoding="utf-8")
    return place


def test_a_mixture_a_recipe_and_an_experiment_of_ones_own(folder):
    with looking_in(str(folder)):
        settings = compose("train", ["experiment=my_run", "run.dir=run"], TrainSettings)
    assert settings.batch.size == 4 and settings.data["total"] == 8
    assert {name: node["weight"] for name, node in settings.data["sources"].items()} == {"a": 1, "b": 3}
    assert settings.data["sources"]["b"]["keep_ties"] is True
    assert read_data_settings(settings.data).total == 8


@pytest.mark.parametrize("group", ["backbone", "head", "loss", "optim", "parts", "pooling"])
def test_every_group_of_training(group, folder):
    default = {"backbone": "tiny", "head": "mlp", "loss": "bradley_terry", "optim": "adamw", "parts": "full", "pooling": "last"}[
        group
    ]
    (folder / group).mkdir()
    (folder / group / "own.yaml").write_text(f"# Ours.\ndefaults:\n  - {default}\n")
    with looking_in(str(folder)):
        found, stock = (compose("train", [f"{group}={name}", "run.dir=run"], TrainSettings) for name in ("own", default))
    assert getattr(found, group) == getattr(stock, group)


@pytest.mark.parametrize("words", [["--config-dir", "{}"], ["--config-dir={}"]], ids=["apart", "joined"])
def test_the_flag_in_stages(words, folder, capsys):
    flag = [word.format(folder) for word in words]
    assert main(["train", *flag, "data=my_mix", "run.dir=run", "--dry-run"]) == 0
    assert main(["data", "show", "data=my_mix", "out=page.html", *flag]) == 0
    assert main(["data", "check", "recipe=mine", "path=pairs.jsonl", *flag]) == 0
    assert "pairs.jsonl" in capsys.readouterr().out
    assert VARIABLE not in os.environ


def test_a_benchmark_of_ones_own_is_known_where_benchmarks_are_named(folder):
    with looking_in(str(folder)):
        assert "ours" in options("benchmark") and "my_mix" in groups()["data"]
        read_data_settings({"path": "pairs.jsonl", "overlap_with": ["ours", {"recipe": "mine"}]})
    with pytest.raises(ConfigError, match="ours"):
        read_data_settings({"path": "pairs.jsonl", "overlap_with": ["ours"]})


def test_prepared_in_processes_of_their_own(folder, elsewhere, capfd):
    """The processes check the whole config again, with the names of this folder in it."""
    words = ["data=my_mix", "+data.overlap_with=[mine]", "+data.prepared=prepared", "workers=2"]
    assert main(["data", "prepare", "--config-dir", str(folder), *words]) == 0, capfd.readouterr().err
    assert len(list((elsewhere / "prepared").glob("*/manifest.json"))) == 2


def test_another_process_in_another_folder(folder, elsewhere, tmp_path):
    """As it is typed: a relative folder, away from the source tree."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-m", "basereward.cli", "train", "--config-dir", folder.name, "experiment=my_run", "run.dir=run"]
    done = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, env=env, cwd=elsewhere)
    assert done.returncode == 0 and "total: 8" in done.stdout, done.stderr
    done = subprocess.run([word for word in command if word not in ("--config-dir", folder.name)] + ["--dry-run"],
                          capture_output=True, text=True, env=env | {VARIABLE: str(folder)}, cwd=elsewhere)  # fmt: skip
    assert done.returncode == 0 and "total: 8" in done.stdout, done.stderr


def test_an_unknown_name_lists_those_of_the_folder_and_where_it_was_looked_for(folder, capsys):
    assert main(["train", "--config-dir", str(folder), "data=my_mx", "run.dir=run"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'my_mix'" in said and "mmpr" in said and str(folder / "data") in said
    assert main(["train", "data=my_mix", "run.dir=run"]) == 2
    assert "--config-dir DIR with DIR/data/my_mix.yaml" in capsys.readouterr().err


def test_help_lists_them(folder, capsys):
    assert main(["train", "--config-dir", str(folder), "--help"]) == 0
    assert "my_mix" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "my_mix" not in capsys.readouterr().out


def test_a_file_that_would_be_hidden_by_ours_is_refused(folder, capsys):
    (folder / "data" / "demo.yaml").write_text("# Mine.\npath: pairs.jsonl\n")
    assert main(["train", "--config-dir", str(folder), "data=demo", "run.dir=run"]) == 2
    assert "data=demo is the toolkit's own; rename the file" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "found"), [("absent", "no such folder"), ("flat", "my_mix.yaml")])
def test_a_folder_without_groups_is_refused(name, found, elsewhere, capsys):
    (elsewhere / "flat").mkdir()
    (elsewhere / "flat" / "my_mix.yaml").write_text(MIX)
    assert main(["train", "--config-dir", name, "data=my_mix", "run.dir=run"]) == 2
    said = capsys.readouterr().err
    assert found in said and f"{name}/data/my_mix.yaml for data=my_mix" in said


def test_a_yaml_that_is_none_is_one_message(folder, capsys):
    (folder / "data" / "broken.yaml").write_text("sources: {a: [1\n")
    assert main(["train", "--config-dir", str(folder), "data=broken", "run.dir=run"]) == 2
    said = capsys.readouterr().err
    assert "broken.yaml" in said and "line 2" in said and "Traceback" not in said

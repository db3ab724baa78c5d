"""What is wrong in a grid, or damaged in its folder, is said before a run starts, and never changes in silence what is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from basereward import ablate
from basereward.cli import main
from basereward.errors import ConfigError, DataError
from basereward.grids.cells import cells_of
from basereward.grids.command import read_grid
from basereward.grids.folder import Folder
from basereward.grids.search import read_search
from basereward.grids.spec import GridSpec
from basereward.grids.spec_checks import wanted_of
from basereward.grids.state import State, stored_state, write_state
from basereward.grids.status import status_text
from basereward.grids.values import LONGEST_BYTES, cut, folder_name

FACTORS = {"optim.lr": [1e-3, 1e-4], "batch.size": [8, 16], "run.seed": [0, 1]}
TINY = ("experiment=demo", "head=linear,mlp", "run.max_steps=6")


def refusal(*words: str, **keys) -> str:
    with pytest.raises(ConfigError) as error:
        cells_of(GridSpec(**{"experiment": "demo", "factors": FACTORS, **keys}), words)
    return str(error.value)


@pytest.mark.parametrize(
    ("zipped", "expected"),
    [
        ([["optim.lr", "batch.sise"]], "ablation.zip: batch.sise is no factor of this grid; did you mean 'batch.size'"),
        (["optim.lr", "batch.size"], "ablation.zip: expected lists of at least two factors"),
        ([["optim.lr"]], "ablation.zip: expected lists of at least two factors"),
        ([["optim.lr", "batch.size"], ["optim.lr", "run.seed"]], "ablation.zip: expected each factor once; found optim.lr twice"),
    ],
)
def test_a_wrong_zip_is_refused_and_not_crossed(zipped, expected):
    assert expected in refusal(zip=zipped)


@pytest.mark.parametrize(
    ("replicate", "expected"),
    [
        ("run.sed", "ablation.replicate: run.sed is no factor of this grid; did you mean 'run.seed'"),
        (None, "ablation.replicate: expected run.seed, which is a factor; found null"),
        ("optim.lr", "ablation.replicate: expected run.seed, which is a factor; found optim.lr"),
    ],
)
def test_a_wrong_replicate_does_not_make_seeds_settings(replicate, expected):
    assert expected in refusal(replicate=replicate)
    assert expected in refusal(replicate=replicate, baseline={"optim.lr": 1e-3, "batch.size": 8})


def test_a_group_is_no_replicate():
    assert "ablation.replicate: expected a key" in refusal(factors={"head": ["linear", "mlp"]}, replicate="head")


def test_a_grid_needs_a_name_or_factors_and_places_its_runs_itself(tmp_path):
    with pytest.raises(ConfigError, match="name one"):
        ablate.plan(read_grid([f"grid.dir={tmp_path}"]))
    assert "use grid.dir" in refusal("run.dir=runs/x")
    with pytest.raises(ConfigError, match="found demo twice"):
        wanted_of(["demo", "demo"])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [("trials", 0, "from 1; found 0"), ("trials", -3, "from 1; found -3"), ("batch", 0, "from 1; found 0"),
     ("trials", True, "from 1; found True"), ("startup", 1.5, "from 0; found 1.5"), ("keys", {"optim.lr": [1, 2]}, "found [1, 2]")],
)  # fmt: skip
def test_a_search_of_no_trials_is_refused(key, value, expected):
    given = {"keys": {"optim.lr": {"low": 1e-6, "high": 1e-3}}, "trials": 4}
    assert read_search(given).trials == 4
    with pytest.raises(ConfigError) as error:
        read_search(given | {key: value})
    assert f"ablation.search.{key}" in str(error.value) and expected in str(error.value)


def begun(place: Path) -> tuple[Folder, list]:
    """The folder of a grid whose runs did not begin."""
    settings = read_grid([*TINY, f"grid.dir={place}"])
    folder, cells = Folder(place), cells_of(settings.spec)
    folder.root.mkdir()
    folder.write(settings.spec, cells)
    return folder, cells


@pytest.mark.parametrize(
    "text", ['[{"name": "x"}]', "{", "3", '[{"name":"x","setting":{},"replicate":null,"overrides":3,"hash":"a"}]']
)
def test_damaged_cells_are_said_with_what_repairs_them(tmp_path, capsys, text):
    folder, _ = begun(tmp_path / "grid")
    (folder.root / "cells.json").write_text(text)
    assert main(["ablate", f"grid.dir={folder.root}", "--status"]) == 2
    said = capsys.readouterr().err
    assert "damaged" in said and "writes it anew" in said and "Traceback" not in said


def test_a_grid_without_a_start_is_said_to_have_none(tmp_path, capsys):
    assert main(["ablate", *TINY, f"grid.dir={tmp_path / 'new'}", "--status"]) == 2
    said = capsys.readouterr().err
    assert "not started yet" in said and "Errno" not in said


@pytest.mark.parametrize("wrong", [{"state": "foo"}, {"step": "viel"}, {"seconds": "x"}, {"started": "gestern"}, {"judged": [1]}])
def test_a_damaged_state_is_none(tmp_path, wrong):
    folder, cells = begun(tmp_path / "grid")
    place = folder.run_dir(cells[0])
    write_state(place, State("failed", cells[0].hash, error="boom", started="2026-01-01T00:00:00+00:00"))
    assert stored_state(place).error == "boom"
    (place / "state.json").write_text(json.dumps(json.loads((place / "state.json").read_text()) | wrong))
    assert stored_state(place) == State()
    assert "2 waiting" in status_text(folder, cells)


def test_names_of_folders_keep_letters_of_any_script_and_fit_a_file_system():
    assert folder_name("data.path=größe 大/हिन्दी") == "data.path=größe-大-हिन्दी"
    assert folder_name("u\u0308") == folder_name("\u00fc")
    assert len(cut("大" * 300).encode()) <= LONGEST_BYTES and set(cut("大" * 300)) == {"大"}
    long = cells_of(
        GridSpec(experiment="demo", factors={"s": [{"name": "大" * 100 + end, "set": [f"run.seed={end}"]} for end in "12"]})
    )
    assert len({cell.name for cell in long}) == 2 and all(len(cell.name.encode()) < 255 for cell in long)


def test_a_grid_that_judges_nothing_says_so_at_the_start(tmp_path):
    words = [*TINY, f"grid.dir={tmp_path / 'new'}"]
    assert "add ablation.evaluate=[demo]" in ablate.plan(read_grid(words))
    assert "ablation.evaluate=[demo]" not in ablate.plan(read_grid([*words, "ablation.evaluate=[demo]"]))


def test_the_plan_refuses_what_a_start_would_refuse(tmp_path):
    folder, cells = begun(tmp_path / "grid")
    (folder.run_dir(cells[0]) / "config.yaml").write_text("optim: {lr: 0.5}\n")
    with pytest.raises(ConfigError, match="to be of another config"):
        ablate.plan(read_grid([*TINY, f"grid.dir={folder.root}"]))


@pytest.mark.parametrize("value", ["1e30", "nan", "-1"])
def test_a_value_that_training_would_refuse_is_refused_before_the_first_run(value):
    assert "ablation.factors.optim.lr: optim.lr: expected a rate above 0" in refusal(f"optim.lr=1e-3,{value}")


def test_rows_that_are_not_there_are_said_before_anything_is_trained(tmp_path, monkeypatch):
    there = tmp_path / "there.jsonl"
    there.touch()
    entries = [f"{{benchmark: custom, overrides: ['benchmark.path={tmp_path}/{name}.jsonl']}}" for name in ("there", "gone")]
    settings = read_grid([*TINY, f"grid.dir={tmp_path / 'new'}", f"ablation.evaluate=[{','.join(entries)}]"])
    assert f"a start would be refused: ablation.evaluate: custom benchmark.path={tmp_path}/gone.jsonl" in ablate.plan(settings)
    with pytest.raises(DataError, match=r"custom benchmark.path=.*gone\.jsonl: expected .*; found nothing to read"):
        ablate.run(settings)
    assert not (tmp_path / "new").exists()
    settings.ablation.evaluate.pop()
    assert "would be refused" not in ablate.plan(settings)


def test_a_key_of_another_launcher_is_said_to_be_its(capsys):
    assert main(["ablate", *TINY, "launcher.n_jobs=2", "--dry-run"]) == 2
    assert capsys.readouterr().err.endswith("launcher.n_jobs is a key of launcher=parallel\n")
    assert main(["ablate", *TINY, "launcher.nonsense=2", "--dry-run"]) == 2
    assert "is a key of" not in capsys.readouterr().err

"""A folder that holds results already: whose they are, what may replace them, and two processes at once."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import pytest
from run_rows import write

from basereward.cli import main
from basereward.results_folder import folder_of_version


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "data")


def words(model, file, *more: str) -> list[str]:
    return ["evaluate", f"model={model}", "benchmark=custom", f"benchmark.path={file}", "device=cpu", *more]


def results(folder) -> dict:
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("stage", ["evaluate", "diagnose"])
def test_results_of_another_model_are_refused(tiny_run, other_run, file, tmp_path, capsys, stage):
    out = tmp_path / "out"
    assert main(words(tiny_run, file, f"out={out}")) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main([stage, *words(other_run, file, f"out={out}")[1:]]) == 2
    told = capsys.readouterr().err
    assert f"those of another model, {tiny_run / 'final'}" in told and "overwrite=true" in told
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert main([stage, *words(other_run, file, f"out={out}", "overwrite=true")[1:]]) == 0
    assert results(out)["model"] == str(other_run / "final")
    assert f"the results of {tiny_run / 'final'} are replaced" in capsys.readouterr().err


def test_the_same_model_elsewhere_is_the_same_model(tiny_run, file, tmp_path, capsys):
    shutil.copytree(tiny_run, tmp_path / "moved")
    main(words(tiny_run, file, f"out={tmp_path / 'out'}"))
    assert main(words(tmp_path / "moved", file, f"out={tmp_path / 'out'}")) == 0
    assert "replaced" not in capsys.readouterr().err


def test_another_state_of_a_run_takes_the_place_of_its_results_and_says_so(tiny_run, other_run, file, tmp_path, capsys):
    shutil.copytree(tiny_run, tmp_path / "run")
    assert main(words(tmp_path / "run", file)) == 0
    shutil.rmtree(tmp_path / "run" / "final")
    shutil.copytree(other_run / "final", tmp_path / "run" / "final")
    assert main(words(tmp_path / "run", file)) == 0
    assert capsys.readouterr().err.count("are replaced") == 1
    found = [results(tmp_path / "run" / "eval" / "rows")["model_files"], results_files(other_run, file, tmp_path)]
    assert found[0] == found[1]


def test_a_model_that_is_not_there_is_told_as_that(tiny_run, tmp_path, monkeypatch, capsys):
    """`runs/nope` has the form of a Hub id; the folder of the runs tells what was meant."""
    shutil.copytree(tiny_run, tmp_path / "runs" / "abcd")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "model=runs/abcf", "benchmark=demo"]) == 2
    told = capsys.readouterr().err
    assert "model: expected a run" in told and "found no folder runs/abcf; did you mean 'abcd'?" in told
    assert "of the Hub, add out=<folder>" in told
    assert main(["evaluate", "model=owner/name", "benchmark=demo"]) == 2
    assert "add out=<folder>" in capsys.readouterr().err
    assert main(["evaluate", "model=runs/abcd/eval_there", "benchmark=demo"]) == 2


def test_a_checkpoint_has_a_place_beside_the_results_of_its_run(tiny_run, file, tmp_path):
    shutil.copytree(tiny_run / "final", tmp_path / "run" / "checkpoints" / "checkpoint-2")
    assert main(words(tmp_path / "run" / "checkpoints" / "checkpoint-2", file)) == 0
    place = tmp_path / "run" / "eval_checkpoints" / "checkpoint-2" / "rows"
    assert results(place)["model"].endswith("checkpoint-2") and not (tmp_path / "run" / "eval").exists()


def test_a_folder_in_no_run_needs_a_place(tiny_run, file, tmp_path, capsys):
    shutil.copytree(tiny_run / "final", tmp_path / "model")
    assert main(words(tmp_path / "model", file)) == 2
    assert f"{tmp_path / 'model'} is in no run" in capsys.readouterr().err


def results_files(run, file, tmp_path) -> dict:
    main(words(run, file, f"out={tmp_path / 'fresh'}"))
    return results(tmp_path / "fresh")["model_files"]


def test_results_on_other_data_are_replaced_only_when_asked(tiny_run, file, tmp_path, capsys):
    out = tmp_path / "out"
    main(words(tiny_run, file, f"out={out}"))
    file.write_text("\n".join(file.read_text().splitlines()[:5]))
    assert main(words(tiny_run, file, f"out={out}")) == 2
    assert "results on version" in (told := capsys.readouterr().err) and "overwrite=true" in told
    assert main(words(tiny_run, file, f"out={out}", "overwrite=true")) == 0 and results(out)["num_comparisons"] == 5


@pytest.mark.parametrize(
    ("content", "said"), [('{"version": "sha256:1"}', "results on version sha256:1"), ("{", "of another kind")]
)
def test_a_changed_file_of_the_same_name_has_a_folder_beside_and_it_is_said(tmp_path, caplog, content, said):
    """Nothing that lies in the run is replaced or refused: the folder bears digits of the version, which the log says."""
    place = tmp_path / "eval" / "rows"
    place.mkdir(parents=True)
    (place / "results.json").write_text(content)
    beside = folder_of_version(place, "sha256:2", is_given=False)
    digits = hashlib.sha256(b"sha256:2").hexdigest()[:8]
    assert beside == tmp_path / "eval" / f"rows-{digits}"
    assert said in caplog.text and f"go to {beside}" in caplog.text
    caplog.clear()
    assert folder_of_version(tmp_path / "eval" / "new", "sha256:2", is_given=False).name == "new" and not caplog.text


@pytest.mark.parametrize(("name", "content"), [("results.json", "[]"), ("results.json", '{"a": 1}'), ("samples.jsonl", "mine")])
def test_files_that_no_evaluation_wrote_are_never_replaced(tiny_run, file, tmp_path, capsys, name, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text(content)
    assert main(words(tiny_run, file, f"out={out}", "overwrite=true")) == 2
    assert "overwrite=true replaces evaluations alone" in capsys.readouterr().err and (out / name).read_text() == content


def holder(out) -> subprocess.Popen:
    """A process that writes a line once it has the folder, and ends when it is written to."""
    take = (
        f"from basereward.run_lock import lock; from pathlib import Path; lock(Path({str(out)!r})); print(1, flush=True); input()"
    )
    return subprocess.Popen([sys.executable, "-c", take], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_process_is_told_and_touches_nothing(tiny_run, file, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    with holder(out) as other:
        assert other.stdout.readline() == "1\n"
        assert main(words(tiny_run, file, f"out={out}")) == 2
        told = capsys.readouterr().err
        assert "out: expected a directory that no other process evaluates into" in told and str(other.pid) in told
        assert [path.name for path in out.iterdir()] == [".lock"]
        other.communicate("\n")
    assert main(words(tiny_run, file, f"out={out}")) == 0
    with holder(out) as other:
        assert other.communicate("\n")[0] == "1\n", "this process, which goes on, has given it back"

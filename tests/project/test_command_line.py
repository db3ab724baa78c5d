"""A user's mistake: one clear message on standard error, exit code 2, nothing left behind. And --help, at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from basereward.cli import NOBODY_READS, STAGES, main

TRAIN = ["train", "run.dir=run"]
SHORT = ["data.sources.demo.n=8", "data.val.n=4"]  # for mistakes that are found after the data were read
# command -> pieces of the message: the key or name as it was written, and what was meant.
MISTAKES = {
    "a word for a number": ([*TRAIN, "optim.lr=fast"], ["optim.lr", "fast", "Float"]),
    "a mistyped key": ([*TRAIN, "optim.leaning_rate=1"], ["optim.leaning_rate", "optim.lr"]),
    "a mistyped section": ([*TRAIN, "optm.lr=1"], ["optm.lr", "optim.lr"]),
    "a new key without its plus": ([*TRAIN, "data=custom", "data.path=x", "data.total=3"], ["data.total", "+data.total=3"]),
    "a share without its plus": ([*TRAIN, "data.sources.demo.cap=20"], ["write +data.sources.demo.cap=20"]),
    "a recipe's key": ([*TRAIN, "data=shp", "data.sources.shp.text_only=true"], ["write +data.sources.shp.text_only=true"]),
    "a key of cleaning without its plus": ([*TRAIN, "data.clean.duplicates=true"], ["write +data.clean.duplicates=true"]),
    "a mistyped new key": ([*TRAIN, "data.sources.demo.cpa=20"], ["no such key", "did you mean 'data.sources.demo.cap'"]),
    "a mistyped source": ([*TRAIN, "data.sources.dmeo.cap=20"], ["there is no data.sources.dmeo", "did you mean 'data.sources.demo'"]),
    "a device as elsewhere": ([*TRAIN, "device=cpu"], ["did you mean 'run.device'"]),
    "a device as elsewhere, with a plus": ([*TRAIN, "+device=cpu"], ["device: no such key", "did you mean 'run.device'"]),
    "a device as in training": (["evaluate", "model=x", "run.device=cpu"], ["run.device", "did you mean 'device'"]),
    "a count above the total": ([*TRAIN, "--dry-run", "+data.sources.demo.count=5", "+data.total=3"], ["data.total", "exactly the counts"]),
    "a flag without its folder": ([*TRAIN, "--config-dir"], ["--config-dir: expected a folder behind it"]),
    "an unknown head": ([*TRAIN, "head=mpl"], ["head=mpl", "did you mean 'mlp'"]),
    "an unknown loss": ([*TRAIN, "loss=bradly_terry"], ["did you mean 'bradley_terry'"]),
    "an unknown experiment": ([*TRAIN, "experiment=dmeo"], ["did you mean 'demo'"]),
    "an unknown group": ([*TRAIN, "heads=mlp"], ["heads", "head"]),
    "a head's unknown key": ([*TRAIN, "+head.layers=3"], ["head.layers", "num_layers"]),
    "a head's unknown value": ([*TRAIN, "head.activation=sliu"], ["head.activation", "did you mean 'silu'"]),
    "an unknown schedule": ([*TRAIN, "optim.schedule=cosin"], ["optim.schedule", "did you mean 'cosine'"]),
    "a rate of nothing": ([*TRAIN, "optim.lr=0"], ["optim.lr", "above 0"]),
    "a missing value": (["train"], ["run.dir"]),
    "no file given": ([*TRAIN, "data=custom"], ["data.path"]),
    "a missing file": ([*TRAIN, "data=custom", "data.path=absent.jsonl"], ["absent.jsonl"]),
    "a near file": ([*TRAIN, "data=custom", "data.path=pair.jsonl"], ["pair.jsonl", "pairs.jsonl"]),
    "a missing backbone": ([*TRAIN, *SHORT, "backbone.path=nowhere/at/all", "backbone.create=null"], ["nowhere/at/all"]),
    "a missing start": ([*TRAIN, *SHORT, "init_from=runs/absent/final"], ["runs/absent/final"]),
    "not an override": ([*TRAIN, "fast"], ["fast"]),
    "an unbalanced bracket": ([*TRAIN, "data.sources=[1,"], ["data.sources"]),
    "an unknown stage": (["tarin", "experiment=demo"], ["tarin", "did you mean 'train'"]),
    "half a stage": (["data"], ["data", "data check"]),
    "an unknown flag": ([*TRAIN, "--dry"], ["--dry", "--dry-run"]),
    "an absent model": (["evaluate", "model=runs/absent"], ["runs/absent"]),
    "an unknown benchmark": (["evaluate", "model=runs/absent", "benchmark=dem"], ["did you mean 'demo'"]),
    "an absent file to check": (["data check", "path=absent.jsonl"], ["absent.jsonl"]),
    "an absent file to show": (["data show", "path=absent.jsonl", "out=page.html"], ["absent.jsonl"]),
    "a page that is none": (["data show", "path=pairs.jsonl", "out=pairs.jsonl"], ["out", ".html"]),
    "an absent model to export": (["export", "model=runs/absent", "out=exported"], ["runs/absent"]),
    "an absent file to score": (["score", "model=runs/absent", "input=absent.jsonl", "output=scores.jsonl"], ["absent"]),
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with one file, and no network to ask."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "Hi", "chosen": "Hello.", "rejected": "No."}\n')
    return tmp_path


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_message_and_leaves_nothing(name, elsewhere, capsys):
    command, pieces = MISTAKES[name]
    words = command[0].split() + command[1:]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err.count("error: ") == 1 and "Traceback" not in err
    message = err[err.index("error: ") :]
    assert all(piece in message for piece in pieces), message
    assert len(message) < 1500
    assert [p.name for p in elsewhere.iterdir()] == ["pairs.jsonl"]


def test_a_mistake_leaves_the_directory_of_another_run_alone(elsewhere, capsys):
    (elsewhere / "run").mkdir()
    (elsewhere / "run" / "notes.txt").write_text("mine")
    assert main([*TRAIN, "data=custom", "data.path=pairs.jsonl"]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert (elsewhere / "run" / "notes.txt").read_text() == "mine"


def test_a_mistake_in_a_subprocess_has_the_exit_code_and_no_traceback(elsewhere):
    done = subprocess.run([sys.executable, "-m", "basereward.cli", *TRAIN, "optim.lr=fast"], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.strip().count("\n") == 0
    assert not (elsewhere / "run").exists()


@pytest.mark.parametrize("words", [[], ["--help"], *([*stage.split(), "--help"] for stage in STAGES)])
def test_help_is_printed_and_lists_what_there_is(words, capsys):
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == "" and "basereward" in out
    expected = STAGES if len(words) < 2 else ["groups:"]
    assert all(name in out for name in expected)


def test_help_waits_for_no_heavy_library():
    """Its time is mostly Python's own start; what would make it slow is an import, so that is what is tested."""
    heavy = {"torch", "transformers", "hydra", "omegaconf", "numpy"}
    code = f"import sys; from basereward.cli import main; main(['--help']); sys.exit(bool({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("stage", STAGES)
def test_stage_help_names_only_keys_and_groups_that_exist(stage, capsys):
    main([*stage.split(), "--help"])
    assert "???" not in capsys.readouterr().out.split("groups:")[1]


def closed(*words: str, stream: str) -> subprocess.Popen:
    """A command whose reader left before it began to write, as ``head`` does when it has read enough."""
    process = subprocess.Popen([sys.executable, "-m", "basereward.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    getattr(process, stream).close()
    return process


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["data", "check", "path=pairs.jsonl"]], ids=" ".join)
def test_a_command_that_nobody_reads_ends_quietly(words):
    process = closed(*words, stream="stdout")
    said = process.stderr.read()
    assert process.wait() == NOBODY_READS and b"Traceback" not in said and b"BrokenPipe" not in said


def test_an_error_that_nobody_reads_ends_quietly():
    process = closed("train", stream="stderr")
    assert process.stdout.read() == b"" and process.wait() == NOBODY_READS


def test_a_broken_pipe_inside_is_an_error(monkeypatch):
    def fail(*_):
        raise BrokenPipeError("a worker is gone")

    monkeypatch.setattr("basereward.cli._run", fail)
    with pytest.raises(BrokenPipeError, match="a worker is gone"):
        main(["train"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_an_output_without_room_is_one_line(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "q", "chosen": "a", "rejected": "b"}\n')
    command = [sys.executable, "-m", "basereward.cli", "data", "check", f"path={file}"]
    with open("/dev/full", "w") as full:
        process = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (
        process.returncode == 2
        and process.stderr.startswith("error: expected room to write")
        and "Traceback" not in process.stderr
    )

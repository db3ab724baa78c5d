"""`basereward diagnose` from end to end with a tiny model: what it writes, what it takes over, what it refuses."""

from __future__ import annotations

import json
import shutil

import pytest
from run_rows import write

from basereward.cli import main

NO_MODEL_OF_ITS_OWN = ["diagnostics.probes=null", "diagnostics.consistency=null"]


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "data")


def words(tiny_run, file, out, *more: str) -> list[str]:
    return ["diagnose", f"model={tiny_run}", "benchmark=custom", f"benchmark.path={file}", f"out={out}", "device=cpu", *more]


def read(out, name):
    return json.loads((out / name).read_text(encoding="utf-8"))


def test_it_judges_first_and_then_takes_what_is_there(tiny_run, file, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words(tiny_run, file, out, *NO_MODEL_OF_ITS_OWN)) == 0
    found, results, shown = read(out, "diagnostics.json"), read(out, "results.json"), capsys.readouterr().out
    assert found["items"] == 7 and found["slices"]["category"].keys() == {"a", "b", "(none)"}
    assert sum(of["correct"] for of in found["slices"]["margin"].values()) == results["correct"]
    assert {"slices", "calibration", "length", "distribution"} <= found.keys() and "drift" not in found
    assert "label_margin" in found["slices"] and "ECE" in shown and "correlation" in shown

    before = (out / "samples.jsonl").stat().st_mtime_ns
    assert main(words(tiny_run, file, out, *NO_MODEL_OF_ITS_OWN, "diagnostics.slices=null")) == 0
    again = read(out, "diagnostics.json")
    assert (out / "samples.jsonl").stat().st_mtime_ns == before and "rewards taken from" in capsys.readouterr().err
    assert again == {key: value for key, value in found.items() if key != "slices"}


def test_an_item_that_could_not_be_scored_is_counted_and_nowhere_among_the_numbers(tiny_run, file, tmp_path):
    out = tmp_path / "out"
    main(words(tiny_run, file, out, *NO_MODEL_OF_ITS_OWN))
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    lines[1] |= {"rewards": None, "error": "a broken picture"}
    (out / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(words(tiny_run, file, out, *NO_MODEL_OF_ITS_OWN)) == 1
    found = read(out, "diagnostics.json")
    assert (found["items"], found["items_not_scored"], found["calibration"]["n"]) == (7, 1, 8)
    assert found["slices"]["category"]["b"]["failed"] == 1


def test_rewards_of_another_model_are_not_taken(tiny_run, file, tmp_path):
    out = tmp_path / "out"
    main(words(tiny_run, file, out, *NO_MODEL_OF_ITS_OWN))
    results = read(out, "results.json")
    results["model_files"]["model.safetensors"] = "of another model"
    (out / "results.json").write_text(json.dumps(results))
    lines = (out / "samples.jsonl").read_text()
    (out / "samples.jsonl").write_text(lines.replace('"category": "a"', '"category": "of another"'))
    (out / "diagnostics.json").write_text("{}")
    assert main(words(tiny_run, file, out, *NO_MODEL_OF_ITS_OWN)) == 0
    assert (out / "samples.jsonl").read_text() == lines
    assert main(["evaluate", *words(tiny_run, file, out)[1:]]) == 0
    assert not (out / "diagnostics.json").exists(), "it was about other rewards"


def test_drift_against_a_folder_of_results(tiny_run, file, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    main(words(tiny_run, file, first, *NO_MODEL_OF_ITS_OWN))
    shutil.copytree(first, second)
    assert main(words(tiny_run, file, second, *NO_MODEL_OF_ITS_OWN, f"against={first}")) == 0
    drift = read(second, "diagnostics.json")["drift"]
    assert (drift["items"], drift["correlation"], drift["scale"], drift["shift"]) == (7, 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    {
        "a diagnostic that is not known": ("diagnostics.calibraton.bins=4", "diagnostics.calib"),
        "a key it does not take": ("+diagnostics.calibration.bin=4", "bins"),
        "no samples to compare with": ("against=nowhere", "samples.jsonl"),
    }.values(),
)  # fmt: skip
def test_mistakes_are_told(tiny_run, file, tmp_path, change, said, capsys):
    assert main(words(tiny_run, file, tmp_path / "out", change)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "samples.jsonl").exists()

"""A file of the user's own as a benchmark: pictures that are not there, rows that are there twice, and what cannot be measured."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from run_rows import png, write

from basereward.benchmarks.base import judge
from basereward.benchmarks.best_of_n import BestOfN
from basereward.benchmarks.custom import CustomBenchmark
from basereward.cli import main
from basereward.data_settings import CUSTOM
from basereward.problems import BadRows
from basereward.samples import Sample, read_samples, unscored


@pytest.fixture
def file(tmp_path) -> Path:
    """Seven rows, three of them with a picture, of which one is no picture and one is not there."""
    found = write(tmp_path / "data")
    (found.parent / "1.png").write_bytes(b"nothing")
    (found.parent / "3.png").unlink()
    return found


def write_rows(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(stage: str, model, file, out, *more: str) -> int:
    words = [stage, f"model={model}", "benchmark=custom", f"benchmark.path={file}", f"out={out}", "device=cpu", *more]
    return main(words)


def results(out: Path) -> dict:
    def no_nan(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads((out / "results.json").read_text(), parse_constant=no_nan)


def test_a_broken_or_missing_picture_is_a_failure_of_its_item(tiny_run, file, tmp_path, capsys):
    assert run("evaluate", tiny_run, file, tmp_path / "out") == 1
    samples, numbers = read_samples(tmp_path / "out" / "samples.jsonl"), results(tmp_path / "out")
    assert [sample.id for sample in samples] == ["q0", "q1", "q2", "q3", "q4", "q5", "r"]
    assert {sample.id: sample.error.partition(":")[0] for sample in samples if sample.error} == {
        "q1": "not an image",
        "q3": "image missing",
    }
    assert (numbers["n"], numbers["failed"]) == (9, 2) and numbers["correct"] + numbers["ties"] + numbers["wrong"] == 7
    assert "2 items could not be scored" in capsys.readouterr().out


def test_diagnose_goes_on_with_the_others(tiny_run, file, tmp_path):
    """The probes and variants look at pictures themselves; no item that failed is among any number."""
    assert run("diagnose", tiny_run, file, tmp_path / "out") == 1
    found = json.loads((tmp_path / "out" / "diagnostics.json").read_text())
    assert (found["items"], found["items_not_scored"], found["calibration"]["n"]) == (7, 2, 7)
    assert (found["probes"]["items"], found["probes"]["failed"]) == (5, 2)
    assert found["consistency"]["variants"]["png"]["items"] == 1


def test_generated_pictures_stand_in_for_missing_ones(tiny_run, file, tmp_path, capsys):
    assert run("evaluate", tiny_run, file, tmp_path / "out", "images=generate") == 1, "the broken one is there"
    samples = read_samples(tmp_path / "out" / "samples.jsonl")
    assert {sample.id for sample in samples if sample.placeholders} == {"q3"} and samples[3].rewards is not None
    numbers = results(tmp_path / "out")
    assert (numbers["placeholders"], numbers["failed"], numbers["images"]) == (1, 1, "generate")
    assert "1 picture generated in the place of missing ones" in capsys.readouterr().out


def test_a_member_that_an_archive_lacks_is_missing_too(tiny_run, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.writestr("a.png", png(1))
    rows = [{"id": name, "prompt": "q", "chosen": "Yes.", "rejected": "No", "images": [f"p.zip::{name}.png"]} for name in "ab"]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    assert run("evaluate", tiny_run, file, tmp_path / "read") == 1
    assert [sample.error is None for sample in read_samples(tmp_path / "read" / "samples.jsonl")] == [True, False]
    assert run("evaluate", tiny_run, file, tmp_path / "drawn", "images=generate") == 0
    assert [sample.placeholders for sample in read_samples(tmp_path / "drawn" / "samples.jsonl")] == [0, 1]


def test_none_of_the_pictures_is_an_error_where_most_items_have_one(tiny_run, tmp_path, monkeypatch, capsys):
    rows = [{"id": str(n), "prompt": "q", "chosen": "Yes.", "rejected": "No", "images": ["a.png"]} for n in range(2)]
    text = [{"id": f"t{n}", "prompt": "q", "chosen": "Yes.", "rejected": "No"} for n in range(2)]
    assert run("evaluate", tiny_run, write_rows(tmp_path / "few.jsonl", rows + text), tmp_path / "few") == 1
    assert results(tmp_path / "few")["failed"] == 2
    monkeypatch.setattr("basereward.scorer.load", None)
    assert run("evaluate", tiny_run, write_rows(tmp_path / "most.jsonl", rows + text[:1]), tmp_path / "most") == 2
    assert "found none of 1 file" in capsys.readouterr().err and not (tmp_path / "most").exists()


def test_rows_that_are_none_are_refused_with_their_line(file):
    with file.open("a") as more:
        more.write('{"id": "x", "prompt": "half\n{"id": "y", "prompt": "?", "chosen": "", "rejected": "No"}\n')
    with pytest.raises(BadRows) as told:
        CustomBenchmark(str(file)).comparisons()
    assert "rows.jsonl:8" in str(told.value) and "rows.jsonl:9 (y)" in str(told.value) and "2 problems" in str(told.value)


def test_what_becomes_of_missing_pictures_can_be_said(file):
    (file.parent / "1.png").write_bytes(png(1))
    made = CustomBenchmark(str(file), recipe={"_target_": CUSTOM, "on_missing_image": "drop"})
    assert len(made.comparisons()) == 6 and made.notes == ["left out by the recipe: 1 image missing"]
    with pytest.raises(BadRows, match="image missing"):
        CustomBenchmark(str(file), recipe={"_target_": CUSTOM, "on_missing_image": "fail"}).comparisons()


@pytest.mark.parametrize("path", [".", "../held_out", "*.jsonl", "rows.jsonl", "rows.*"])
def test_results_never_lie_beside_those_of_other_benchmarks(tmp_path, monkeypatch, path):
    """A path that ends in no name of its own takes that of the folder."""
    (tmp_path / "held_out").mkdir()
    monkeypatch.chdir(tmp_path / "held_out")
    assert CustomBenchmark(path).name == ("rows" if path.startswith("rows") else "held_out")


def test_a_result_that_saw_no_picture_says_so(tiny_run, tmp_path, capsys):
    row = {"id": "mathverse_1", "query": "q", "response": ["a", "b"], "image": "p.png", "human_ranking": [0, 1]}
    file = write_rows(tmp_path / "rows.jsonl", [row])
    words = ["evaluate", f"model={tiny_run}", "benchmark=vl_rewardbench", f"benchmark.path={file}", f"out={tmp_path / 'out'}"]
    assert main([*words, "benchmark.text_only=true", "device=cpu"]) == 0
    (note,) = results(tmp_path / "out")["notes"]
    assert "text_only" in note and note in capsys.readouterr().out
    own = CustomBenchmark(file, recipe={"recipe": "vl_rewardbench", "text_only": True})
    own.comparisons()
    assert own.notes == [note]


def test_copies_are_told_by_their_ids(tiny_run, tmp_path, capsys):
    """Swapped responses with the same label say the same; another label, response or prompt does not."""
    rows = [
        {"id": "a", "prompt": "q", "chosen": "Yes.", "rejected": "No"},
        {"id": "b", "prompt": "q", "chosen": "Yes.", "rejected": "No", "category": "x"},
        {"id": "a", "prompt": "q", "responses": ["No", "Yes."], "ranks": [1, 0]},
        {"id": "c", "prompt": "q", "chosen": "No", "rejected": "Yes."},
        {"id": "d", "prompt": "p", "chosen": "Yes.", "rejected": "No"},
    ]
    assert run("evaluate", tiny_run, write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out") == 0
    (note,) = results(tmp_path / "out")["notes"]
    assert note.endswith("counted like any other: 2; a#1 = b = a#2") and note in capsys.readouterr().out
    many = [{"id": f"{n}{k}", "prompt": str(n), "chosen": "Yes.", "rejected": "No"} for n in range(7) for k in "ab"]
    made = CustomBenchmark(write_rows(tmp_path / "many.jsonl", many))
    made.comparisons()
    assert made.notes[0].endswith("7; 0a = 0b; 1a = 1b; 2a = 2b; 3a = 3b; 4a = 4b; and 2 more")


def test_where_no_prompt_has_both_nothing_can_be_measured(tiny_run, tmp_path, capsys):
    rows = [{"prompt": f"{flag}?", "responses": ["a", "b"], "correct": [flag, flag]} for flag in (True, False)]
    file = write_rows(tmp_path / "sampled.jsonl", rows)
    words = ["evaluate", f"model={tiny_run}", "benchmark=best_of_n", f"benchmark.path={file}", f"out={tmp_path / 'out'}"]
    assert main([*words, "device=cpu"]) == 0
    numbers, shown = results(tmp_path / "out"), capsys.readouterr().out
    assert numbers["accuracy"] is None and numbers["interval_95"] == [None, None] and numbers["official"] is None
    assert "accuracy cannot be measured" in numbers["notes"][0] and numbers["notes"][0] in shown and "nan" not in shown
    assert "- to -" not in shown


def test_a_prompt_with_both_is_enough(tmp_path):
    rows = [{"prompt": f"{flag}?", "responses": ["a", "b"], "correct": [True, flag]} for flag in (True, False)]
    made = BestOfN(write_rows(tmp_path / "sampled.jsonl", rows))
    samples = [Sample(**unscored(item, made.meta_keys), rewards=(1.0, 0.0)) for item in made.comparisons()]
    assert made.notes == [] and judge(made, samples)["official"]["value"] == 1.0


def test_nothing_depends_on_where_the_folder_lies_or_how_it_is_spelled(tiny_run, tmp_path, monkeypatch):
    """Two rows ask the same of one picture under two names, and of one that is not there."""
    (tmp_path / "here").mkdir()
    for name in ("a", "copy_of_a", "b"):
        (tmp_path / "here" / f"{name}.png").write_bytes(png(name == "b"))
    rows = [{"id": f"{k}", "prompt": "q", "chosen": "Yes, it is.", "rejected": "No" * k, "images": [f"{name}.png"]}
            for k, name in enumerate(["a", "copy_of_a", "b", "gone", "gone", "b/gone"], 1)]  # fmt: skip
    write_rows(tmp_path / "here" / "rows.jsonl", rows)
    shutil.copytree(tmp_path / "here", tmp_path / "elsewhere")
    assert run("evaluate", tiny_run, tmp_path / "here" / "rows.jsonl", tmp_path / "one") == 1
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("evaluate", tiny_run, "../elsewhere/rows.jsonl", tmp_path / "two") == 1
    found = [[sample.group for sample in read_samples(tmp_path / name / "samples.jsonl")] for name in ("one", "two")]
    assert found[0] == found[1] and results(tmp_path / "one")["interval_95"] == results(tmp_path / "two")["interval_95"]
    assert [found[0].index(group) for group in found[0]] == [0, 0, 2, 3, 3, 5]

"""Whose results a page shows: the run's own final model's, and apart, by their names, those of a checkpoint, another model, or before."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from html_pages import Page
from report_files import CATEGORIES, add_evaluation, items
from test_report import make_run
from test_report_pages import compare, rows

from basereward.benchmarks.rows import notes_of
from basereward.report import render, whose
from basereward.report.evaluations import none_of_benchmark
from basereward.report.run_files import read_run
from basereward.results_folder import model_files

N = 60
NO_TENSORS = "\x02" + 7 * "\0" + "{}"  # the head of a file of weights
LONG_AGO = 1_000_000_000


def margins(share: float) -> list[float]:
    """Of so large a share of pairs the better response has more."""
    return [1.0 if k < share * N else -1.0 for k in range(N)]


def make_model(folder: Path, weights: str) -> Path:
    """The files of a model that count; two models of one run differ in weights and probe alone."""
    folder.mkdir(parents=True)
    for name, text in {"model.safetensors": NO_TENSORS + weights, "probe.json": f"rewards of {weights}"}.items():
        (folder / name).write_text(text)
    (folder / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    return folder


@pytest.fixture
def runs(tmp_path, monkeypatch) -> list[Path]:
    """runs/a is right on 80% of bench, runs/b on 60%."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    found = [make_run(Path("runs") / name) for name in ("a", "b")]
    for run, share in zip(found, (0.8, 0.6)):
        judge(run, make_model(run / "final", run.name), share)
    return found


def judge(run: Path, model: Path, share: float, folder: str = "bench") -> None:
    """What `basereward evaluate model=... out=<run>/eval/<folder>` leaves."""
    more = {"benchmark": "bench", "model": str(model), "model_files": model_files(model)}
    add_evaluation(run, items("bench", N), margins(share), folder, **more)


def labels(run: Path) -> dict[str, str]:
    found = read_run(run)
    assert not any(each.other_weights for each in found.evaluations) and all(each.other_weights for each in found.of_others)
    return {each.folder: each.other_weights for each in (*found.evaluations, *found.of_others)}


def shares(page: Page) -> dict[str, str]:
    """Run -> its accuracy, from the table of runs."""
    return {row[0]: row[2] for row in rows(page, "benchmarks") if row[1] == str(N) and len(row) == 4 + len(CATEGORIES)}


def own_share(run: Path) -> list[float]:
    return [each.results["accuracy"] for each in read_run(run).evaluations]


def test_results_of_another_model_are_none_of_the_run(runs, tmp_path):
    judge(runs[0], runs[1] / "final", 0.45, "xx")
    assert labels(runs[0]) == {"eval/bench": "", "eval/xx": "another model: runs/b"}
    page = Page(render(runs[0]))
    own, _, apart = page.text.partition("Of other weights")
    assert "80.0%" in own and "45.0%" not in own and "45.0%" in apart and "another model: runs/b" in apart
    both = compare(runs, tmp_path / "both.html")
    assert shares(both) == {"a": "80.0%", "b": "60.0%"}
    assert "a: left out, for it is no result of its final model as it is now: eval/xx (another model: runs/b)." in both.text
    assert "45.0%" not in both.text


def test_a_run_without_results_of_its_own_has_none_in_a_comparison(runs, tmp_path):
    shutil.rmtree(runs[0] / "eval")
    judge(runs[0], runs[1] / "final", 0.45)
    assert own_share(runs[0]) == [] and "No benchmark was run on the final model yet" in Page(render(runs[0])).text
    both = compare(runs, tmp_path / "both.html")
    assert shares(both) == {"b": "60.0%"}


def test_results_of_weights_that_were_replaced_say_so(runs):
    for file in (runs[1] / "final").iterdir():
        shutil.copy(file, runs[0] / "final")
    assert labels(runs[0]) == {"eval/bench": whose.EARLIER}
    assert whose.EARLIER in Page(render(runs[0])).text
    judge(runs[0], runs[0] / "final", 0.6, "again")
    assert labels(runs[0]) == {"eval/again": "", "eval/bench": whose.EARLIER} and own_share(runs[0]) == [0.6]


def test_weights_that_changed_alone_are_seen_however_old_they_look(runs):
    weights = runs[0] / "final" / "model.safetensors"
    weights.write_text(f"{NO_TENSORS}z")
    os.utime(weights, (LONG_AGO, LONG_AGO))
    assert labels(runs[0]) == {"eval/bench": whose.EARLIER}


def test_weights_that_are_older_than_the_results_are_not_read(runs, monkeypatch):
    later = (runs[0] / "final" / "model.safetensors").stat().st_ctime + 60
    os.utime(runs[0] / "eval" / "bench" / "results.json", (later, later))
    read = []
    monkeypatch.setattr(whose, "file_hash", lambda file: read.append(file.name) or hashlib.sha256(file.read_bytes()).hexdigest())
    assert labels(runs[0]) == {"eval/bench": ""} and sorted(read) == ["config.json", "probe.json"]


def test_a_checkpoint_of_the_run_stands_under_its_name(runs):
    judge(runs[0], make_model(runs[0] / "checkpoints" / "checkpoint-250", "half way"), 0.7, "half")
    judge(runs[0], (runs[0] / "checkpoints" / "checkpoint-250").resolve(), 0.7, "absolute")
    assert labels(runs[0]) == {"eval/bench": "", "eval/half": "checkpoint-250", "eval/absolute": "checkpoint-250"}
    assert "checkpoint-250" in Page(render(runs[0])).text


def test_a_run_that_was_moved_or_whose_model_was_cleared_away_keeps_its_results(runs, tmp_path, monkeypatch):
    shutil.copytree(runs[0], tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path.parent)
    assert labels(tmp_path / "elsewhere") == {"eval/bench": ""}
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(runs[0] / "final")
    assert labels(runs[0]) == {"eval/bench": ""}
    (tmp_path / "elsewhere" / "config.yaml").write_text("run: {dir: runs/a}\n")
    (tmp_path / "elsewhere" / "final" / "probe.json").write_text("of others")
    monkeypatch.chdir(tmp_path.parent)
    assert labels(tmp_path / "elsewhere") == {"eval/bench": whose.EARLIER}


def test_the_results_of_an_evaluation_alone_are_whose_they_say(runs):
    assert own_share(runs[0] / "eval" / "bench") == [0.8]


def test_of_several_results_of_its_own_the_one_under_the_benchmarks_name_is_shown(runs, tmp_path):
    judge(runs[0], runs[0] / "final", 0.75, "a-first")
    judge(runs[0], runs[0] / "final", 0.65, "later")
    both = compare(runs, tmp_path / "both.html")
    assert shares(both)["a"] == "80.0%"
    told = "a: of its results on bench in eval/a-first, eval/bench, eval/later, those in eval/bench are shown."
    assert told in both.text
    chart = Page(render(runs[0])).text.partition("All benchmarks")[2].partition("version")[0]
    assert all(f"bench eval/{name}" in chart for name in ("a-first", "bench", "later"))


def test_a_table_of_runs_says_what_the_backbone_is(runs, tmp_path):
    made = "run: {max_steps: 3}\nbackbone: {path: runs/a/backbone, create: basereward.demo.build_tiny_backbone}\n"
    (runs[0] / "config.yaml").write_text(made)
    (runs[1] / "config.yaml").write_text("backbone: {path: Qwen/Qwen2.5-VL-7B-Instruct}\n")
    found = {row[0]: row[1] for row in rows(compare(runs, tmp_path / "both.html"), "runs")}
    assert found["a"] == "made by basereward.demo.build_tiny_backbone qwen2_5_vl"
    assert found["b"] == "Qwen/Qwen2.5-VL-7B-Instruct qwen2_5_vl"


# Numbers that are no results of their benchmark


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"placeholders": 3}, "generated pictures"),
        ({"edition": "unknown: expected a 9; found a 4", "num_comparisons": 4, "n_expected": 1009}, "4 of 1,009 items"),
        ({"edition": "unknown: expected a 4; found b 4", "num_comparisons": 4, "n_expected": 4}, "other items"),
        ({"edition": "split claude", "num_comparisons": 4, "n_expected": 9}, "split claude"),
        ({"notes": notes_of(type("Recipe", (), {"text_only": True}))}, "pictures left out"),
    ],
)
def test_a_bar_that_is_no_result_of_its_benchmark_is_marked_at_a_glance(tmp_path, more, words):
    runs = [make_run(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        for name in ("bench", "other"):
            add_evaluation(run, items(name, N), margins(0.8), name, **(more if (run, name) == (runs[1], "other") else {}))
    for page, marked in ((Page(render(runs[0])), 0), (Page(render(runs[1])), 1), (compare(runs, tmp_path / "both.html"), 1)):
        glance = page.source.partition("All benchmarks</figcaption>")[2].partition("</figure>")[0]
        assert glance.count(' hatched"') == marked and glance.count(f'class="caution">{words}<') == marked
        assert ("not the benchmark&#x27;s own result" in glance) == bool(marked)


def test_a_result_of_its_benchmark_is_not_marked():
    assert none_of_benchmark({"edition": "official", "placeholders": 0, "notes": []}) == []
    assert none_of_benchmark({"edition": None, "notes": ["2 rows are there twice"]}) == []

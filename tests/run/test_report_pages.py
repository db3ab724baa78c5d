"""The pages about evaluations, and about several runs: their numbers are those of the files; which runs, and where they lie."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from html_pages import Page
from report_files import CATEGORIES, add_evaluation, items
from test_report import ATTACK, make_run

from basereward.cli import main
from basereward.report import render

N = 60


@pytest.fixture
def comparisons():
    return items("bench", N)


def margins(seed: int) -> list[float]:
    return np.random.default_rng(seed).normal(0.6, 1.0, N).tolist()


@pytest.fixture
def runs(tmp_path: Path, comparisons) -> list[Path]:
    """Two runs that were judged on the same items."""
    found = [make_run(tmp_path / name) for name in ("first", "second <2>")]
    for seed, run in enumerate(found):
        add_evaluation(run, comparisons, margins(seed))
    return found


def compare(runs: list[Path], out: Path) -> Page:
    assert main(["report", f"runs=[{','.join(json.dumps(str(run)) for run in runs)}]", f"out={out}"]) == 0
    return Page(out)


def rows(page: Page, section: str) -> list[list[str]]:
    """The cells of each row of a section, as text."""
    part = page.source.partition(f'id="{section}"')[2].partition("</section>")[0]
    found = [row.partition("</tr>")[0] for row in part.split("<tr>")[1:]]
    return [
        [html.unescape(re.sub("<[^>]+>", "", cell)).strip() for cell in re.findall("<t[hd].*?</t[hd]>", row)] for row in found
    ]


def test_bars_and_table_hold_the_numbers_of_the_file(runs, comparisons):
    results = json.loads((runs[0] / "eval" / "bench" / "results.json").read_text())
    page = Page(render(runs[0]))
    for of in (results, *results["categories"].values()):
        low, high = of["interval_95"]
        assert f"{100 * of['accuracy']:.1f}%" in page.text and f"({100 * low:.1f} to {100 * high:.1f}) of {of['n']}" in page.text
        assert f"left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%" in page.source
    assert "A model that prefers the longer answer: 41.4%; the shorter one: 44.9%." in page.text
    titles = [found["aria-label"].partition(".")[0] for found in page.all("svg")][4:]
    assert titles == ["Calibration", "Rewards", "Reward difference by how much longer the preferred answer is"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"edition": "unknown: expected 4, found 3"}, "not the rows of the official edition: unknown: expected 4, found 3"),
        ({"placeholders": 1250}, "1,250 pictures were not at hand"),
        ({"failed": 2, "accuracy_of_scored": 0.75}, "2 pairs could not be scored, and count as not right; of those that were scored, 75"),
        ({"overlap": {"mode": "report", "items": [4, 5]}, "without_overlap": {"accuracy": 0.5, "n": 58}},
         "2 of its items were found in the training data (mode: report). On the others: 50.0% of 58 pairs."),
        ({"verified_on": "reference only"}, "written from its description"),
        ({"official": {"rule": "mean of sections", "value": 0.7125}}, "By the benchmark's own rule (mean of sections): 71.2%"),
        ({"own": {"acc_plus": 0.4375, "matrix": {"easy": {"chat": 0.5, "math": 0.25}}}}, "0.4375"),
        ({"legacy": {"general": {"n": 183, "accuracy": 0.625}}}, "By a split that papers have used in place of the official one"),
        ({"blind_accuracy": 0.333}, "33.3%"),
        ({"shuffled_accuracy": 0.444}, "images of others"),
    ],
)  # fmt: skip
def test_what_has_to_be_known_is_said(tmp_path, comparisons, more, words):
    run = make_run(tmp_path / "run")
    add_evaluation(run, comparisons, margins(0))
    assert words not in Page(render(run)).text
    add_evaluation(run, comparisons, margins(0), "other", **more)
    assert words in Page(render(run)).text


def test_numbers_of_its_own_become_tables(tmp_path, comparisons):
    run = make_run(tmp_path / "run")
    own = {
        "acc_plus": 0.4375,
        "matrix": {"easy": {"chat": 0.5, "math": 0.25}, "hard": {"chat": 0.125}},
        "list": [{"a": 1}, {"a": 2}],
    }
    add_evaluation(run, comparisons, margins(0), own=own)
    (run / "eval" / "bench" / "diagnostics.json").write_text(
        json.dumps({"ece": 0.0312, "styles": {ATTACK: {"mean": -1.5}}, "deep": own})
    )
    cells = rows(Page(render(run)), "evaluations")
    assert ["acc plus", "0.4375"] in cells and ["", "chat", "math"] in cells
    assert ["easy", "0.5", "0.25"] in cells and ["hard", "0.125", "\N{EN DASH}"] in cells and ["2", "2"] in cells
    assert ["ece", "0.0312"] in cells and "\N{MINUS SIGN}1.5" in str(cells)


def test_a_benchmark_without_categories_has_one_row(tmp_path, comparisons):
    run = make_run(tmp_path / "run")
    results = add_evaluation(run, comparisons, margins(0))
    results["categories"] = {"": {"n": N, "accuracy": results["accuracy"]}}
    (run / "eval" / "bench" / "results.json").write_text(json.dumps(results))
    page = Page(render(run))
    assert [row[0] for row in rows(page, "evaluations")] == ["category", "all"] and "(none)" not in page.text


def test_intervals_among_numbers_of_its_own_are_set_on_one_line(tmp_path, comparisons):
    run = make_run(tmp_path / "run")
    add_evaluation(run, comparisons, margins(0), own={"curve": [{"n": 1, "interval_95": [0.25, 0.5]}]})
    assert '<td class="num">0.25 to 0.5</td>' in render(run).read_text(encoding="utf-8")


def test_samples_that_are_broken_leave_their_charts_out(runs):
    (runs[0] / "eval" / "bench" / "samples.jsonl").write_text('{"id": 1}\n')
    page = Page(render(runs[0]))
    assert len(page.all("svg")) == 4 and "Accuracy by length difference" not in page.text and CATEGORIES[0] in page.text


def test_a_comparison_puts_runs_beside_one_another(runs, tmp_path):
    page = compare(runs, tmp_path / "pages" / "both.html")
    results = [json.loads((run / "eval" / "bench" / "results.json").read_text()) for run in runs]
    for of in results:
        assert f"{100 * of['accuracy']:.1f}%" in page.text
    found = {row[0]: row for row in rows(page, "benchmarks") if len(row) == 4 + len(CATEGORIES)}
    for name, of in zip(("first", "second <2>"), results):
        shares = [f"{100 * of['categories'][category]['accuracy']:.1f}%" for category in CATEGORIES]
        assert found[name][-3:] == shares
    labels = [each["aria-label"] for each in page.all("svg")]
    assert sum(label.startswith("Training loss over steps: first from") for label in labels) == 1
    assert sum("second <2>: confidence" in label for label in labels) == 1


def test_who_is_right_where(runs, tmp_path, comparisons):
    page = compare(runs, tmp_path / "both.html")
    right = np.array([margins(0), margins(1)]) > 0
    counts = {"all": (right[0] & right[1]).sum(), "nobody": (~right[0] & ~right[1]).sum(), "first": (right[0] & ~right[1]).sum()}
    found = {row[0]: row[1] for row in rows(page, "mistakes")}
    assert {name: int(found[name]) for name in counts} == counts and sum(int(n) for n in list(found.values())[1:]) == N
    cards = page.all("article")
    patterns = {each.get("data-pattern") for each in cards} - {None}
    assert patterns <= {"right: first", "right: second <2>", "right: nobody"} and len(patterns) == 3
    assert "rewards of second <2>" in page.text


def test_other_versions_stand_apart(runs, tmp_path, comparisons):
    add_evaluation(runs[0], comparisons, margins(3), "again", benchmark="bench", version="2")
    page = compare(runs, tmp_path / "both.html")
    assert "bench was run in several versions" in page.text and "bench 2" in page.text


def test_settings_that_differ_and_no_others(runs, tmp_path):
    (runs[1] / "config.yaml").write_text(
        "optim: {lr: 0.001}\nhead: {_target_: a.b.MLPHead, num_layers: 2}\nrun: {max_steps: 30, seed: 1}\n"
    )
    page = compare(runs, tmp_path / "both.html")
    assert rows(page, "settings")[1:] == [["optim.lr", "0.0003", "0.001"], ["run.seed", "", "1"]]


def test_one_run_and_the_results_of_an_evaluation_alone(runs, tmp_path, capsys):
    assert main(["report", f"runs=[{runs[0]}]"]) == 0
    assert (runs[0] / "report.html").is_file() and str(runs[0] / "report.html") in capsys.readouterr().out
    page = compare([runs[0], runs[1] / "eval" / "bench"], tmp_path / "both.html")
    assert "bench is not finished" not in page.text and "first is not finished" in page.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["runs=[]"], "runs: expected one or more folders"),
        (["runs=[first,nowhere]", "out=a.html"], "found no folder at nowhere"),
        (["runs=[first,empty]", "out=a.html"], "runs: expected a folder with one of metrics.jsonl, config.yaml,"),
        (["runs=[first,empty]", "out=a.html"], "found a folder without any of them at empty"),
        (["runs=[first,./first]", "out=a.html"], "more than once"),
        (["runs=[first,second]"], "out: expected the page of 2 runs, found none; add out=comparison.html"),
        (["runs=[first,second]", "out=a.txt"], "expected a file ending in .html"),
        (["runs=[first,second]", "out=other.html"], "which is something else"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        make_run(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.html").write_text("<p>mine</p>")
    for flag in ([], ["--dry-run"]):
        assert main(["report", *words, *flag]) == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "other.html").read_text() == "<p>mine</p>" and not (tmp_path / "a.html").exists()


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path, comparisons):
    found = []
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        found.append(make_run(tmp_path / parent / "seed0"))
    page = compare(found, tmp_path / "both.html")
    assert page.all("h1") and "a/seed0, b/seed0" in page.text

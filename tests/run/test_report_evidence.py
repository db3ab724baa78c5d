"""What stands beside the accuracies of a page: another evaluation, diagnostics and best of N, each as its files say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_script import check_page
from html_pages import Page
from report_files import CATEGORIES, add_evaluation, items
from test_report import make_run
from test_report_best_of_n import sampled
from test_report_pages import compare, rows

from basereward.benchmarks.best_of_n import accuracy_curve, gold_curve
from basereward.diagnostics.base import Subject
from basereward.diagnostics.consistency import findings as moved
from basereward.diagnostics.drift import Drift
from basereward.diagnostics.length import Length
from basereward.diagnostics.probes import Probes
from basereward.report import render
from basereward.report.markup import MINUS
from basereward.samples import read_samples
from basereward.significance import compared

N = 60
STYLES = {name: f"basereward.diagnostics.styles.{name}" for name in ("markdown", "empty")}


def margins(seed: int) -> list[float]:
    return np.random.default_rng(seed).normal(0.6, 1.0, N).tolist()


def folder(run: Path, name: str = "bench") -> Path:
    return run / "eval" / name


@pytest.fixture
def judged(tmp_path) -> list[Path]:
    """Two runs that were judged on the same items; some pairs are ties."""
    found = [make_run(tmp_path / name) for name in ("first", "second <2>")]
    for seed, run in enumerate(found):
        given = margins(seed)
        given[:3] = [0.0, 0.0, 1.0]
        add_evaluation(run, items("bench", N), given)
    return found


# Another evaluation


def shown_difference(of: dict) -> list[str]:
    """The cells behind the name, as a page has them."""
    signed = [f"{100 * value:+.1f}".replace("-", MINUS) for value in (of["difference"], *of["interval_95"])]
    shares = [f"{100 * of[key]:.1f}%" for key in ("accuracy", "other_accuracy")]
    return [str(of["n"]), *shares, signed[0], f"{signed[1]} to {signed[2]}", str(of["only_here"]), str(of["only_there"]),
            f"{of['mcnemar_p']:.2g}"]  # fmt: skip


def pair_by_pair(judged: list[Path]) -> dict:
    first, second = (read_samples(folder(run) / "samples.jsonl") for run in judged)
    return compared(second, first)


def test_against_another_evaluation(judged):
    found = pair_by_pair(judged)
    names = {"other": "runs/first/eval/bench", "other_model": "runs/first/final <b>"}
    (folder(judged[1]) / "against.json").write_text(json.dumps(names | found))
    page = Page(render(judged[1]))
    cells = {row[0]: row[1:] for row in rows(page, "evaluations") if len(row) == 9}
    assert cells["all"] == shown_difference(found) and found["only_here"] and found["only_there"]
    for category in CATEGORIES:
        assert cells[category] == shown_difference(found["categories"][category])
    assert "Against runs/first/final <b>" in page.text and "go by the interval" not in page.text
    found["num_prompts"] = N - 1
    (folder(judged[1]) / "against.json").write_text(json.dumps(names | found))
    assert f"{N} pairs share {N - 1} prompts, so p is too small: go by the interval." in Page(render(judged[1])).text


def test_bars_of_differences_stand_on_both_sides_of_the_middle(judged):
    found = pair_by_pair(judged) | {"difference": -0.1, "interval_95": [-0.2, 0.05], "categories": {}}
    (folder(judged[1]) / "against.json").write_text(json.dumps({"other_model": "x"} | found))
    lane = Page(render(judged[1])).source.partition("difference by category")[2].partition("</ol>")[0]
    assert 'class="fill" style="left:25.00%;width:25.00%"' in lane
    assert 'class="whisker" style="left:0.00%;width:62.50%"' in lane


def test_a_broken_file_of_differences_leaves_its_part_out(judged):
    (folder(judged[1]) / "against.json").write_text('{"categories": {"a": {"n": 1}}}')
    page = Page(render(judged[1]))
    assert "McNemar" not in page.text and "Accuracy by length difference" in page.text


def test_each_run_against_the_first(judged, tmp_path):
    page = compare(judged, tmp_path / "both.html")
    found = pair_by_pair(judged)
    cells = [row for row in rows(page, "benchmarks") if len(row) == 9]
    assert ["second <2>", *shown_difference(found)] in cells
    for category in CATEGORIES:
        assert [category, *shown_difference(found["categories"][category])] in cells
    assert "Pair by pair against first" in page.text and "In the table, there is first." in page.text


def test_other_items_of_one_version_are_refused_and_said(judged, tmp_path):
    lines = (folder(judged[1]) / "samples.jsonl").read_text().splitlines()
    (folder(judged[1]) / "samples.jsonl").write_text("\n".join(lines[1:]) + "\n")
    page = compare(judged, tmp_path / "both.html")
    assert "second <2> cannot be compared pair by pair with first: against: expected the same items" in page.text
    assert "McNemar" not in page.text


@pytest.mark.parametrize("broken", [1, 2])
def test_runs_without_samples_are_compared_by_their_accuracies_alone(judged, tmp_path, broken):
    for run in judged[:broken]:
        (folder(run) / "samples.jsonl").unlink()
    page = compare(judged, tmp_path / "both.html")
    assert "McNemar" not in page.text and "bench: accuracy by category" in page.text


# Diagnostics


@pytest.fixture
def diagnosed(judged) -> dict:
    """The findings that `basereward diagnose` would leave for the second run, beside its results."""
    first, second = (read_samples(folder(run) / "samples.jsonl") for run in judged)
    rewards = np.random.default_rng(0).normal(size=(40, 4)) + np.array([1.0, 0.0, 0.9, -2.0])
    probes = {"items": 40, "failed": 0, **Probes(STYLES).findings(rewards, [str(k) for k in range(40)])}
    variant = moved(Subject(second).pairs, Subject(first).pairs)
    found = {
        "against": "runs/first", "length": Length().measure(Subject(second)), "drift": Drift().measure(Subject(second, against=first)),
        "probes": probes, "consistency": {"variants": {"prompt_lines": {"items": N, "failed": 1, **variant}}},
        "slices": {"source": {name: {"accuracy": share, "interval_95": [0.1, 0.9], "n": 30} for name, share in (("a", 0.25), ("b", 0.5))}},
    }  # fmt: skip
    (folder(judged[1]) / "diagnostics.json").write_text(json.dumps(found))
    return found


def test_findings_are_drawn(judged, diagnosed):
    page = Page(render(judged[1]))
    styles = page.source.partition("Styles: what the reward follows")[2].partition("</figure>")[0]
    unit = diagnosed["probes"]["typical_margin"]
    for name, of in diagnosed["probes"]["styles"].items():
        lane = styles.partition(f">{name}<")[2].partition("</li>")[0]
        numbers = [
            f"{value:+.2f}".replace("-", MINUS) for value in (of["in_margins"], *(end / unit for end in of["interval_95"]))
        ]
        assert f"<b>{numbers[0]}</b> ({numbers[1]} to {numbers[2]})" in lane
    assert styles.index(">markdown<") < styles.index(">empty<")  # what gains most stands first
    of = diagnosed["consistency"]["variants"]["prompt_lines"]
    shares = [f"{100 * of[key]:.1f}%" for key in ("change", "verdicts_changed", "accuracy_before", "accuracy")]
    cells = rows(page, "evaluations")
    assert ["prompt lines", str(N), *shares, "1"] in cells
    for key, before, now in (("lost", "yes", "no"), ("gained", "no", "yes")):
        count = diagnosed["drift"]["pairs"][key]
        assert [before, now, str(count), f"{100 * count / N:.1f}%"] in cells
    assert "Drift from runs/first" in page.text
    partial = f"{diagnosed['length']['partial']:+.3f}".replace("-", MINUS)
    assert f"within prompts, {partial} (" in page.text


def test_what_was_diagnosed_is_shown_and_not_worked_out_again(judged, diagnosed):
    page = Page(render(judged[1]))
    assert "Accuracy by source" in page.text and "25.0% (10.0 to 90.0) of 30" in page.text
    assert "Accuracy by margin" not in page.text and "Accuracy by margin" in Page(render(judged[0])).text


def test_findings_of_another_shape_are_left_to_the_table(judged, caplog):
    (folder(judged[1]) / "diagnostics.json").write_text(
        json.dumps({"probes": {"styles": 3}, "drift": [], "calibration": {"ece": 0.0312}})
    )
    page = Page(render(judged[1]))
    assert (
        ["ece", "0.0312"] in rows(page, "evaluations") and "Styles: what" not in page.text and "Rewards and lengths" in page.text
    )
    assert "the report leaves it out" in caplog.text


def test_styles_of_runs_beside_one_another(judged, diagnosed, tmp_path):
    assert "Styles: what" not in compare(judged, tmp_path / "one.html").text  # one of the two has none
    (folder(judged[0]) / "diagnostics.json").write_text(json.dumps({"probes": diagnosed["probes"]}))
    page = compare(judged, tmp_path / "both.html")
    styles = page.source.partition("Styles: what the reward follows")[2].partition("</figure>")[0]
    assert styles.count('class="lane s0"') == styles.count('class="lane s1"') == len(STYLES)


def test_curves_are_on_the_pages(judged, tmp_path):
    for run, seed in zip(judged, (0, 1)):
        own = {"best_of_n": accuracy_curve(sampled(seed)), "over_optimisation": gold_curve(sampled(seed))}
        results = json.loads((folder(run) / "results.json").read_text())
        (folder(run) / "results.json").write_text(json.dumps(results | {"own": own}))
    labels = [each["aria-label"] for each in Page(render(judged[0])).all("svg")]
    assert sum(label.startswith("Best of N") for label in labels) == 2
    labels = [each["aria-label"] for each in compare(judged, tmp_path / "both.html").all("svg")]
    (found,) = [label for label in labels if label.startswith("Best of N: how often")]
    assert "first: " in found and "second <2>: " in found


# The samples alone


def test_the_page_agrees_with_a_recomputation_from_the_samples(judged):
    """By the script of docs/evaluation.md, which knows nothing of this toolkit."""
    check_page(render(judged[0]), folder(judged[0]))

"""What the charts of sureness and lengths show: the diagnostics' own numbers, hand-worked ranges, and models whose curve is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from basereward.diagnostics.base import Subject
from basereward.diagnostics.calibration import Calibration
from basereward.diagnostics.distribution import Distribution
from basereward.diagnostics.pairs import Pairs, pairs_of
from basereward.diagnostics.slices import Slices
from basereward.report.bias import accuracy_by, calibration, distribution, lengths
from basereward.report.scored_pairs import MIN_PAIRS, by_length, findings
from basereward.samples import Sample


def pairs(margins, longer=None) -> Pairs:
    margins = np.asarray(margins, dtype=float)
    longer = np.zeros(len(margins)) if longer is None else np.asarray(longer)
    return Pairs(margins, longer, np.arange(len(margins)).astype(str))


def sample(rewards, chosen=((0, 1),), lengths=(3, 5, 9)) -> Sample:
    return Sample("a", "", "g", "", chosen, lengths, rewards)


def judged(margins) -> list[Sample]:
    """One item for each margin, of a prompt of its own; the better response is one character longer."""
    return [Sample(str(k), "", str(k), "", ((0, 1),), (4, 3), (margin, 0.0)) for k, margin in enumerate(margins)]


def curve_of(margins) -> dict:
    return Calibration().measure(Subject(judged(margins)))


def test_pairs_are_those_that_were_scored():
    found = pairs_of(
        [sample((1.0, 0.5, 2.0), ((0, 1), (0, 2))), sample(None), sample((math.nan, 1.0, 0.0)), sample((0.5, 0.5, 0.0))]
    )
    assert found.margin_P.tolist() == [0.5, -1.0, 0.0] and found.longer_P.tolist() == [-2, -6, -2]
    assert found.right_P.tolist() == [1, 0, 0]


def test_the_page_has_the_bins_of_the_diagnostics():
    """Many equal confidences, which one bin must hold together: equal parts by order would split them."""
    samples = judged([0.0] * 30 + [1.0] * 50 + [-1.0] * 10 + [3.0] * 30)
    found = findings(samples, pairs_of(samples), {})
    for name, diagnostic in (("calibration", Calibration()), ("slices", Slices()), ("distribution", Distribution())):
        assert found[name] == diagnostic.measure(Subject(samples)), name
    assert [bin["n"] for bin in found["calibration"]["reliability"]] == [30, 60, 30]


def test_what_was_diagnosed_stands_in_place_of_what_rewards_tell():
    samples = judged([1.0] * MIN_PAIRS)
    diagnosed = {"calibration": {"ece": 0.125}, "probes": {}}
    found = findings(samples, pairs_of(samples), diagnosed)
    assert found["calibration"] == {"ece": 0.125} and found["probes"] == {} and "slices" in found
    assert findings(samples[1:], pairs_of(samples[1:]), diagnosed) == diagnosed  # too few pairs to show anything


def test_rewards_that_are_no_numbers_do_not_end_a_page():
    samples = [*judged([1.0, -1.0] * MIN_PAIRS), sample((math.nan, 1.0, 0.0)), sample((math.inf, 1.0, 0.0)), sample(None)]
    found = findings(samples, pairs_of(samples), {})
    assert sum(of["n"] for of in found["slices"]["margin"].values()) == 2 * MIN_PAIRS
    assert found["distribution"]["spread"]["all"]["n"] == 4 * MIN_PAIRS and found["calibration"]["n"] == 2 * MIN_PAIRS


def test_a_calibrated_model_lies_on_the_diagonal():
    generator = np.random.default_rng(0)
    size = generator.exponential(1.5, 20_000)
    signs = np.where(generator.random(20_000) < 1 / (1 + np.exp(-size)), 1.0, -1.0)
    curve = Calibration().reliability(pairs(signs * size), intervals=False)
    assert len(curve) == 10 and {bin["n"] for bin in curve} == {2000}
    assert max(abs(bin["confidence"] - bin["right"]) for bin in curve) < 0.03  # three deviations of 2,000 draws
    doubled = Calibration().reliability(
        pairs(2 * signs * size), intervals=False
    )  # twice as sure, as often right: below the diagonal
    assert min(bin["confidence"] - bin["right"] for bin in doubled[3:7]) > 0.05


def test_lengths_by_hand():
    found = by_length(pairs([1.0, 1.0, -1.0, -2.0, 0.0, 5.0], [1, 63, 64, -1, 0, -5000]))
    assert [(range_.name, range_.n) for range_ in found] == [
        ("1,024+ shorter", 1), ("1 to 63 shorter", 1), ("about the same", 1), ("1 to 63 longer", 2), ("64 to 255 longer", 1),
    ]  # fmt: skip
    assert [range_.at for range_ in found] == [-5000, -1, 0, 32, 64]
    assert [range_.margin for range_ in found] == [5.0, -2.0, 0.0, 1.0, -1.0]


def test_the_chart_of_calibration_says_its_numbers():
    """40 pairs, so two bins; 18 of 20 picks at a confidence of 0.9 are right."""
    margins = [0.0] * 10 + [math.log(3)] * 8 + [-math.log(3)] * 2 + [math.log(9)] * 18 + [-math.log(9)] * 2
    found = curve_of(margins)
    panel = calibration({"one": found})
    assert "confidence 90.0%: 90.0% of 20 pairs right" in panel.chart.alt and panel.legend == ()
    assert f"ECE {found['ece']:.3f}, Brier {found['brier']:.3f}" in panel.note
    assert f"Fitted temperature {found['temperature']:.2f}, so too" in panel.note
    assert "No temperature: no pair is wrong" in calibration({"one": curve_of([1.0] * 40)}).note
    both = calibration({"one": found, "two": curve_of([1.0] * 40)})
    assert [name for _, name in both.legend] == ["one", "two"] and "ECE" not in both.note


def test_the_chart_of_lengths_draws_each_pair():
    panel = lengths(pairs([1.0] * 30 + [-1.0] * 10, range(-20, 20)))
    drawn = [mark for mark in panel.chart.marks if "faint" in mark]
    assert [mark.count("h0") for mark in drawn] == [10, 30] and "at random" not in panel.note
    many = lengths(pairs(np.ones(2000), np.arange(2000)))
    assert sum(mark.count("h0") for mark in many.chart.marks if "faint" in mark) == 500 and "500 of 2,000 pairs" in many.note


def test_the_chart_of_rewards_has_a_step_for_each_bin():
    found = Distribution(bins=4).measure(Subject(judged([0.0, 1.0, 2.0, 4.0, 4.0])))
    panel = distribution(found)
    better = next(mark for mark in panel.chart.marks if "line s0" in mark)
    heights = [float(point.split(",")[1]) for point in better.split('points="')[1].split('"')[0].split()]
    floor = max(heights + [float(y) for y in [panel.chart._place((0.0, 0.0))[1]]])
    counts = [bin["better"] for bin in found["histogram"]]
    assert counts == [1, 1, 1, 2]
    unit = (floor - heights[0]) / counts[0]
    assert [(floor - y) / unit for y in heights[::2]] == pytest.approx(counts, abs=0.02) and heights[::2] == heights[1::2]
    assert "better: mean 2.200" in panel.chart.alt and "worse: mean 0.000" in panel.chart.alt


def test_bars_of_slices_are_those_of_each_run():
    one = {
        "length": {
            "1 to 63 longer": {"accuracy": 0.5, "interval_95": [0.25, 0.75], "n": 8},
            "about the same": {"accuracy": 0.9, "interval_95": [0.8, 1.0], "n": 4},
        }
    }
    two = {"length": {"1 to 63 longer": {"accuracy": 0.125, "interval_95": [0.0, 0.5], "n": 8}}}
    chart = accuracy_by("length", "Lengths", {"one": one, "two": two})
    assert chart.count('class="lane s0"') == chart.count('class="lane s1"') == 2
    assert "12.5%" in chart and "(25.0 to 75.0)" in chart and "of 4" in chart
    assert accuracy_by("length", "Lengths", {"two": two}) is None  # a single bar says what the accuracy says

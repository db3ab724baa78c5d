"""What the charts of calibration and lengths show: hand-worked bins, and models whose curve is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from basereward.diagnostics.pairs import Pairs, pairs_of
from basereward.report.bias import calibration, lengths
from basereward.report.scored_pairs import MIN_PAIRS, by_length, reliability
from basereward.samples import Sample


def pairs(margins, longer=None) -> Pairs:
    margins = np.asarray(margins, dtype=float)
    longer = np.zeros(len(margins)) if longer is None else np.asarray(longer)
    return Pairs(margins, longer, np.arange(len(margins)).astype(str))


def sample(rewards, chosen=((0, 1),), lengths=(3, 5, 9)) -> Sample:
    return Sample("a", "", "g", "", chosen, lengths, rewards)


def test_pairs_are_those_that_were_scored():
    found = pairs_of(
        [sample((1.0, 0.5, 2.0), ((0, 1), (0, 2))), sample(None), sample((math.nan, 1.0, 0.0)), sample((0.5, 0.5, 0.0))]
    )
    assert found.margin_P.tolist() == [0.5, -1.0, 0.0] and found.longer_P.tolist() == [-2, -6, -2]
    assert found.right_P.tolist() == [1, 0, 0]
    assert len(pairs_of([])) == 0 and reliability(pairs_of([])) == []


def test_reliability_by_hand():
    """40 pairs, so two bins: 20 of |margin| 0 and ln 3 (confidence 1/2 and 3/4), 20 of |margin| ln 9 (0.9), 18 of them right."""
    margins = [0.0] * 10 + [math.log(3)] * 8 + [-math.log(3)] * 2 + [math.log(9)] * 18 + [-math.log(9)] * 2
    low, high = reliability(pairs(margins))
    assert (low.n, high.n) == (MIN_PAIRS, MIN_PAIRS)
    assert low.at == pytest.approx((10 * 0.5 + 10 * 0.75) / 20) and low.right == (10 * 0.5 + 8) / 20
    assert high.at == pytest.approx(0.9) and high.right == 0.9 and high.interval[0] < 0.9 < high.interval[1]
    assert high.name == "90.0% to 90.0%"


def test_a_calibrated_model_lies_on_the_diagonal():
    generator = np.random.default_rng(0)
    size = generator.exponential(1.5, 20_000)
    signs = np.where(generator.random(20_000) < 1 / (1 + np.exp(-size)), 1.0, -1.0)
    bins = reliability(pairs(signs * size))
    assert len(bins) == 10 and {bin.n for bin in bins} == {2000}
    assert max(abs(bin.at - bin.right) for bin in bins) < 0.03  # three deviations of 2,000 draws
    doubled = reliability(pairs(2 * signs * size))  # twice as sure, as often right: below the diagonal
    assert min(bin.at - bin.right for bin in doubled[3:7]) > 0.05


def test_lengths_by_hand():
    found = by_length(pairs([1.0, 1.0, -1.0, -2.0, 0.0, 5.0], [1, 63, 64, -1, 0, -5000]))
    assert [(bin.name, bin.n, bin.right) for bin in found] == [
        ("1,024+ shorter", 1, 1.0), ("1 to 63 shorter", 1, 0.0), ("the same", 1, 0.0), ("1 to 63 longer", 2, 1.0),
        ("64 to 255 longer", 1, 0.0),
    ]  # fmt: skip
    assert [bin.at for bin in found] == [-5000, -1, 0, 32, 64] and [bin.margin for bin in found] == [5.0, -2.0, 0.0, 1.0, -1.0]


def test_charts_say_their_numbers_and_draw_each_pair():
    margins = [0.0] * 10 + [math.log(3)] * 10 + [math.log(9)] * 20
    panel = calibration({"one": pairs(margins)})
    assert "confidence 90.0%: 100.0% of 20 pairs right" in panel.chart.alt
    panel = lengths(pairs([1.0] * 30 + [-1.0] * 10, range(-20, 20)))
    drawn = [mark for mark in panel.chart.marks if "faint" in mark]
    assert [mark.count("h0") for mark in drawn] == [10, 30] and "at random" not in panel.note
    many = lengths(pairs(np.ones(2000), np.arange(2000)))
    assert sum(mark.count("h0") for mark in many.chart.marks if "faint" in mark) == 500 and "500 of 2,000 pairs" in many.note

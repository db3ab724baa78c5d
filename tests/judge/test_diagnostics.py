"""Diagnostics of samples against scikit-learn, scipy and examples by hand."""

from __future__ import annotations

import numpy as np
import pytest
from made_samples import drawn, pair

from basereward.diagnostics.base import Subject
from basereward.diagnostics.calibration import Calibration, fit_temperature, sigmoid
from basereward.diagnostics.distribution import Distribution
from basereward.diagnostics.drift import Drift, ks
from basereward.diagnostics.length import Length, correlation_interval
from basereward.diagnostics.pairs import correlation, equal_bins, ranks
from basereward.diagnostics.slices import Slices
from basereward.errors import DataError
from basereward.metrics import clustered_interval, mean_interval
from basereward.records import parse_row

SAMPLES = drawn(400)
MARGIN_P = Subject(SAMPLES).pairs.margin_P
LONGER_P = Subject(SAMPLES).pairs.longer_P


def near(value, expected, *, to: float = 1e-9) -> bool:
    return value == pytest.approx(expected, rel=0, abs=to)


# Slices


def test_slices_by_hand():
    """Six pairs: margins 3, 2, 1, 0, -1, -2; in halves of |margin|, {0, 1, 1} has one right of three and {2, 2, 3} two of three."""
    differences = [0, 1, -1, 63, 64, 2000]
    samples = [
        pair(float(m), d, name=f"{m}", category="ab"[m > 0], source="s") for m, d in zip((3, 2, 1, 0, -1, -2), differences)
    ]
    found = Slices(bins=2).measure(Subject([*samples, pair(None, 5, name="broken", category="a", source="s")]))
    numbers = {
        kind: {name: (of["n"], of["correct"], of["ties"]) for name, of in slices.items()} for kind, slices in found.items()
    }
    assert numbers["margin"] == {"1. 0 to 1": (3, 1, 1), "2. 2 to 3": (3, 2, 0)}
    assert list(numbers["length"].items()) == [
        ("1 to 63 shorter", (1, 1, 0)), ("about the same", (1, 1, 0)), ("1 to 63 longer", (3, 1, 1)),
        ("64 to 255 longer", (1, 0, 0)), ("1,024+ longer", (1, 0, 0)),
    ]  # fmt: skip
    assert numbers["category"] == {"b": (3, 3, 0), "a": (4, 0, 1)}
    assert numbers["source"] == {"s": (7, 3, 1)}
    assert found["category"]["a"]["failed"] == 1 and found["category"]["a"]["accuracy"] == 0


def test_slices_by_the_margin_of_the_label():
    rows = [
        {"prompt": "q", "responses": ["a", "b", "c"], "scores": [5, 1, 1], "id": "1"},
        {"prompt": "p", "chosen": "a", "rejected": "b"},
    ]
    items = [parse_row(row, where=f"f:{n}") for n, row in enumerate(rows)]
    samples = [pair(0, name="1", pairs=((0, 1), (0, 2)), rewards=(1.0, 0.0, 2.0), lengths=(1, 1, 1)), pair(1.0, name="2")]
    found = Slices().measure(Subject(samples, items))
    assert {name: (of["n"], of["correct"]) for name, of in found["label_margin"].items()} == {"1. 4 to 4": (2, 1)}
    assert "label_margin" not in Slices().measure(Subject(samples))


def test_the_slices_of_a_kind_hold_every_pair_once():
    for slices in Slices(bins=7).measure(Subject(SAMPLES)).values():
        assert sum(of["n"] for of in slices.values()) == 400
        assert sum(of["correct"] for of in slices.values()) == (MARGIN_P > 0).sum()


def test_bins_are_equal_and_equal_values_share_one():
    assert np.bincount(equal_bins(np.random.default_rng(0).normal(size=100), 4)).tolist() == [25] * 4
    assert equal_bins(np.array([0.5] * 9 + [0.9]), 5).tolist() == [0] * 9 + [1]


# Calibration


def test_the_errors_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    found = Calibration().measure(Subject(SAMPLES))
    # Each pair in both orders, so that both classes are there; the mean over the two is that of one.
    probability, label = np.concatenate([sigmoid(MARGIN_P), sigmoid(-MARGIN_P)]), np.repeat([1, 0], 400)
    assert near(found["brier"], metrics.brier_score_loss(label, probability))
    assert near(found["log_loss"], metrics.log_loss(label, probability))


def test_the_curve_is_that_of_scikit_learn():
    calibration_curve = pytest.importorskip("sklearn.calibration").calibration_curve
    found = Calibration(bins=8).measure(Subject(SAMPLES))["reliability"]
    right, confidence = calibration_curve(MARGIN_P > 0, sigmoid(np.abs(MARGIN_P)), n_bins=8, strategy="quantile")
    assert len(found) == 8 and sum(entry["n"] for entry in found) == 400
    assert near([entry["right"] for entry in found], right) and near([entry["confidence"] for entry in found], confidence)
    assert all(entry["interval_95"][0] <= entry["right"] <= entry["interval_95"][1] for entry in found)


def test_calibration_error_by_hand():
    """Confidence 0.75 with 1 of 4 right, and 0.9 with 2 of 2."""
    low, high = np.log(3), np.log(9)
    samples = [pair(m, name=str(n)) for n, m in enumerate([low, -low, -low, -low, high, high])]
    found = Calibration(bins=2, min_pairs=1).measure(Subject(samples))
    assert [(e["n"], round(e["confidence"], 9), e["right"]) for e in found["reliability"]] == [(4, 0.75, 0.25), (2, 0.9, 1.0)]
    assert near(found["ece"], (4 * 0.5 + 2 * 0.1) / 6)


def test_a_tie_is_half_right_and_perfectly_calibrated():
    found = Calibration(min_pairs=1).measure(Subject([pair(0.0, name=str(n)) for n in range(5)]))
    assert (found["ece"], found["brier"], found["reliability"][0]["right"]) == (0, 0.25, 0.5)
    assert found["temperature"] is None and "on average" in found["why_no_temperature"]


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_the_temperature_is_that_of_a_logistic_regression(scale):
    """Without an intercept, on pairs in both orders, its one coefficient is 1 / T."""
    linear = pytest.importorskip("sklearn.linear_model")
    both, label = np.concatenate([MARGIN_P, -MARGIN_P])[:, None], np.repeat([1, 0], 400)
    model = linear.LogisticRegression(C=1e12, fit_intercept=False, tol=1e-12).fit(both, label)
    temperature, why = fit_temperature(scale * MARGIN_P)
    assert why is None and temperature / scale == pytest.approx(1 / model.coef_[0, 0], rel=1e-4)


def test_a_temperature_that_no_data_fix_is_not_made_up():
    assert fit_temperature(np.array([1.0, 2.0]))[0] is None and "no pair is wrong" in fit_temperature(np.array([1.0, 2.0]))[1]
    assert fit_temperature(np.array([1.0, -2.0]))[0] is None and "worse response" in fit_temperature(np.array([1.0, -2.0]))[1]
    assert Calibration().measure(Subject([pair(None, name="1")])) is None


def test_the_temperature_is_judged_on_other_prompts():
    """Margins eight times too large: dividing by T repairs what it was not fitted on, and no prompt is on both sides."""
    calibration = Calibration(folds=4)
    pairs = Subject(drawn(400, 3, scale=8.0)).pairs
    crossed, plain = calibration.cross_fitted(pairs), calibration.errors(pairs)
    assert crossed["log_loss"] < 0.5 * plain["log_loss"] and crossed["ece"] < plain["ece"]
    at_best = calibration.errors(type(pairs)(pairs.margin_P / fit_temperature(pairs.margin_P)[0], pairs.longer_P, pairs.group_P))
    assert at_best["log_loss"] < crossed["log_loss"] < 1.05 * at_best["log_loss"]
    alone = type(pairs)(pairs.margin_P, pairs.longer_P, np.full(400, "one prompt"))
    assert calibration.cross_fitted(alone) is None


# Length


def test_the_partial_correlation_is_that_of_residuals():
    """Rewards and lengths of both responses of a pair, less the pair's means, each less what the label explains of it."""
    linear = pytest.importorskip("sklearn.linear_model")
    found = Length().measure(Subject(SAMPLES))
    label = np.repeat([0.5, -0.5], 400)[:, None]
    halves = [np.concatenate([values / 2, -values / 2]) for values in (MARGIN_P, LONGER_P)]
    rests = [half - linear.LinearRegression().fit(label, half).predict(label) for half in halves]
    assert near(found["partial"], np.corrcoef(*rests)[0, 1])
    assert near(found["within_prompts"], np.corrcoef(*halves)[0, 1])
    line = linear.LinearRegression().fit(LONGER_P[:, None], MARGIN_P)
    assert near(found["reward_per_100_characters"], 100 * line.coef_[0])


def test_rank_correlations_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    found = Length().measure(Subject(SAMPLES))
    assert near(found["partial_spearman"], stats.spearmanr(MARGIN_P, LONGER_P).statistic)
    rewards, lengths = np.concatenate([s.rewards for s in SAMPLES]), np.concatenate([s.lengths for s in SAMPLES])
    assert near(found["over_all"], stats.pearsonr(rewards, lengths).statistic)
    assert near(found["over_all_spearman"], stats.spearmanr(rewards, lengths).statistic)
    assert near(ranks(np.array([3.0, 1.0, 3.0, 2.0])), stats.rankdata([3, 1, 3, 2]))


def test_a_label_that_goes_with_length_is_no_bias():
    """The better response is always 100 longer, and rewards know the label alone: correlated within prompts, and not partially."""
    generator = np.random.default_rng(1)
    samples = [pair(1 + 0.1 * generator.normal(), 100 + int(generator.integers(-50, 50)), name=str(n)) for n in range(500)]
    found = Length().measure(Subject(samples))
    assert found["within_prompts"] > 0.9 and abs(found["partial"]) < 0.1
    assert found["partial_interval_95"][0] < 0 < found["partial_interval_95"][1]


def test_length_by_hand():
    samples = [
        pair(1.0, 10, name="a"),
        pair(-1.0, 20, name="b"),
        pair(2.0, -5, name="c"),
        pair(0.0, 5, name="d"),
        pair(1.0, 0, name="e"),
    ]
    found = Length().measure(Subject(samples))
    # Of four that differ in length: the longer preferred once (a), the shorter twice (b, c), and one tie, half.
    assert found["prefers_longer"] == 1.5 / 4 and found["better_is_longer"] == 3 / 4
    assert found["accuracy_better_longer"] == 1 / 3 and found["accuracy_better_shorter"] == 1.0


def test_the_interval_of_a_correlation_covers_it_as_often_as_it_says():
    generator, covered = np.random.default_rng(2), 0
    for _ in range(60):
        a = generator.normal(size=80)
        b = 0.5 * a + generator.normal(size=80)
        low, high = correlation_interval(a, b, np.arange(80))
        covered += low <= 0.5 / np.sqrt(1.25) <= high
    assert 50 <= covered <= 60


def test_what_does_not_vary_has_no_correlation():
    assert correlation(np.full(9, 0.1), np.arange(9.0)) is None and correlation(np.zeros(1), np.zeros(1)) is None
    found = Length().measure(Subject([pair(1.0, 5, name=str(n)) for n in range(4)]))
    assert found["partial"] is None and found["partial_interval_95"] is None and found["reward_per_100_characters"] is None
    assert "-" in Length().told(found)


# Distribution and drift


def test_the_distribution_by_hand():
    samples = [pair(2.0, name="a", at=10.0), pair(-4.0, name="b", at=2.0), pair(None, name="c")]
    found = Distribution(bins=7).measure(Subject(samples))
    assert found["spread"]["all"]["n"] == 4 and found["spread"]["all"]["mean"] == (12 + 10 - 2 + 2) / 4
    assert found["spread"]["margin"]["mean"] == -1 and found["spread"]["better"]["least"] == -2
    # Within prompts: deviations 1, 1, 2, 2 -> 10 / 4; in all: values 12, 10, -2, 2 with mean 5.5 -> variance 32.75.
    assert near(found["within_prompts"], 2.5 / 32.75)
    assert sum(entry["better"] for entry in found["histogram"]) == sum(entry["worse"] for entry in found["histogram"]) == 2
    assert (found["histogram"][0]["low"], found["histogram"][-1]["high"]) == (-2, 12)
    assert [(entry["better"], entry["worse"]) for entry in found["histogram"]] == [
        (1, 0),
        (0, 0),
        (0, 1),
        (0, 0),
        (0, 0),
        (0, 0),
        (1, 1),
    ]


def test_drift_of_twice_the_rewards_is_a_scale_alone():
    twice = [
        pair(2 * margin, at=7.0, name=s.id, group=s.group, lengths=s.lengths) for s, margin in zip(SAMPLES, MARGIN_P.tolist())
    ]
    found = Drift().measure(Subject(twice, against=SAMPLES[::-1]))
    assert near(found["scale"], 2) and near(found["correlation"], 1) and near(found["spearman"], 1)
    assert found["ks_rescaled"] < 1.01 / 400, "no more than what the rounding of one margin does"
    assert found["pairs"]["lost"] == found["pairs"]["gained"] == 0 and found["pairs"]["right_in_both"] == (MARGIN_P > 0).sum()
    assert Drift().measure(Subject(SAMPLES)) is None


def test_drift_counts_what_changed():
    before = [pair(m, name=str(n)) for n, m in enumerate([1.0, 1.0, -1.0, 0.0, 3.0, 1.0])]
    now = [pair(m, name=str(n), at=2.0) for n, m in enumerate([1.0, 0.0, 2.0, -1.0, None, -1.0])]
    found = Drift().measure(Subject(now, against=before))
    assert found["pairs"] == {"right_in_both": 1, "lost": 2, "gained": 1, "right_in_none": 1}
    assert (found["items"], found["items_not_in_both"]) == (5, 2)
    assert near(found["shift"], 2 + (1 - 2) / 10)


def test_drift_refuses_other_items():
    with pytest.raises(DataError, match="none that has an id"):
        Drift().measure(Subject(SAMPLES, against=[pair(1.0, name="other")]))
    with pytest.raises(DataError, match="the item 0 to be the same"):
        Drift().measure(Subject(SAMPLES, against=[pair(1.0, 1234, name="0")]))


def test_the_distance_of_distributions_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=50).round(1), generator.normal(size=70, loc=0.3).round(1)
    assert near(ks(a, b), stats.ks_2samp(a, b).statistic)


# All of them


def test_a_mean_of_any_numbers_has_the_interval_of_shares_and_none_of_their_special_cases():
    values, groups = np.random.default_rng(5).integers(0, 2, 60), np.arange(60) // 3
    assert mean_interval(values, groups) == clustered_interval(values, groups)
    assert mean_interval(np.ones(5), np.arange(5)) == (1.0, 1.0)


@pytest.mark.parametrize(
    "part", [Slices(), Calibration(), Length(), Distribution(), Drift()], ids=lambda part: type(part).__name__
)
def test_findings_are_json_and_are_told(part):
    import json

    subject = Subject(SAMPLES, against=drawn(400, 0, scale=0.5))
    found = part.measure(subject)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert part.told(found).strip() and "nan" not in part.told(found)

"""Curves over N: lines stand where their numbers say, N doubles from tick to tick, and no colour stands for two things."""

from __future__ import annotations

import numpy as np
import pytest

from basereward.benchmarks.best_of_n import accuracy_curve, gold_curve
from basereward.report.best_of_n import accuracy, curves, gold
from basereward.samples import Sample


def sampled(seed: int) -> list[Sample]:
    """Twenty prompts of four responses; `correct`, `answers` and `gold` of each."""
    generator, found = np.random.default_rng(seed), []
    for k in range(20):
        correct = [bool(value) for value in np.random.default_rng(k).random(4) < 0.5]
        gold = [float(value) for value in np.random.default_rng(100 + k).random(4)]
        rewards = tuple(float(value) for value in generator.normal(size=4) + correct)
        meta = {"correct": correct, "answers": [str(value) for value in correct], "gold": gold}
        found.append(Sample(str(k), "", str(k), "", (), (1, 1, 1, 1), rewards, meta=meta))
    return found


def heights(chart, style: str, values: list[float]) -> list[float]:
    """The line of a style, in the unit of the values, from two of its points."""
    line = next(mark for mark in chart.marks if f'class="line {style}"' in mark)
    ys = [float(point.split(",")[1]) for point in line.split('points="')[1].split('"')[0].split()]
    (low, high), (y_low, y_high) = (
        (chart.y.low, chart.y.high),
        (chart._place((1, chart.y.low))[1], chart._place((1, chart.y.high))[1]),
    )
    assert len(ys) == len(values)
    return [low + (y - y_low) / (y_high - y_low) * (high - low) for y in ys]


def test_curves_over_n_stand_where_their_numbers_say():
    curve, over = accuracy_curve(sampled(0)), gold_curve(sampled(0))
    panel = accuracy({"this model": curve})
    for key, style in (("picked", "s0"), ("oracle", "s2 dashed"), ("majority", "s3 dashed"), ("random", "s7 dashed")):
        values = [row[key] for row in curve]
        assert heights(panel.chart, style, values) == pytest.approx(values, abs=0.002), key
    assert [name for _, name in panel.legend] == ["this model", "oracle", "majority", "random"]
    assert f"{100 * curve[-1]['picked']:.1f}% at N = 4" in panel.chart.alt
    assert [panel.chart.x.share(n) for n in (1, 2, 4)] == [0.0, 0.5, 1.0]
    panel = gold({"this model": over})
    assert heights(panel.chart, "s0", [row["gold"] for row in over]) == pytest.approx([row["gold"] for row in over], abs=0.002)
    assert f"{over[-1]['kl']:.2f} nats" in panel.note and "majority" not in str(panel.legend)


def test_other_ways_to_pick_take_no_colour_of_a_run():
    panel = accuracy({name: accuracy_curve(sampled(seed)) for seed, name in enumerate(("one", "two", "three", "four"))})
    assert panel.legend == [("s0", "one"), ("s1", "two"), ("s2", "three"), ("s3", "four"),
                            ("s7 dashed", "oracle (highest), majority, random (level)")]  # fmt: skip
    assert sum("dashed" in mark for mark in panel.chart.marks) == sum("s7 dashed" in mark for mark in panel.chart.marks) == 3


def test_of_several_runs_those_that_have_a_curve_keep_their_colours():
    panel = accuracy({"second": accuracy_curve(sampled(0))}, {"first": 0, "second": 1})
    assert panel.legend[0] == ("s1", "second") and "second: " in panel.chart.alt
    drawn = str(curves({"first": {}, "second": {"best_of_n": accuracy_curve(sampled(0))}}, {"first": 0, "second": 1}))
    assert drawn.count("<svg") == 1 and "line s1" in drawn and "line s0" not in drawn
    assert curves({"first": {}, "second": {}}, {"first": 0, "second": 1}) is None

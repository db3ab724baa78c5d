"""Charts: marks stand where their numbers say, no peak is lost, and a file of charts stands for itself."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from test_report import make_run

from basereward.report import render
from basereward.report.curve import overlaid, panels, smooth, style_of, thin
from basereward.report.run_files import read_run
from basereward.report.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Chart, signed_log, ticks


def whole(low: float, high: float, **more) -> Axis:
    return Axis(low, high, [low, high], str, **more)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 30, [0, 5, 10, 15, 20, 25, 30]),
        (-0.9, 1.1, [-1, -0.5, 0, 0.5, 1, 1.5]),
        (0, 3e-6, [0, 5e-7, 1e-6, 1.5e-6, 2e-6, 2.5e-6, 3e-6]),
        (0, 0, [-1, -0.5, 0, 0.5, 1]),
        (0.25, 0.25, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_ticks_are_round_and_hold_the_values(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_points_stand_where_their_numbers_say():
    """The corners of the axes are those of the room between the margins; half the way is the middle."""
    svg = Chart(whole(0, 10), whole(-1, 1), "words").line([(0, -1), (5, 0), (10, 1)], "s0").svg()
    points = [tuple(map(float, pair.split(","))) for pair in re.search(r'points="([^"]+)"', svg)[1].split()]
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    assert points == [(LEFT, bottom), ((LEFT + right) / 2, (TOP + bottom) / 2), (right, TOP)]


def test_a_value_beyond_the_axis_stands_at_its_end():
    svg = Chart(whole(0, 1), whole(0, 1), "words").dots([(2.0, -5.0)], "s0").svg()
    assert f"M{WIDTH - RIGHT:.1f} {HEIGHT - BOTTOM:.1f}h0" in svg


def test_orders_of_magnitude_of_both_signs_have_room():
    along = whole(-1023, 1023, scale=signed_log)
    assert along.share(0) == 0.5 and along.share(-1) == pytest.approx(0.45) and along.share(1023) == 1


def test_labels_do_not_touch():
    svg = Chart(Axis(0, 100, list(range(101)), lambda value: f"{value:,} steps"), whole(0, 1), "words").svg()
    places = [float(x) for x in re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="middle"', svg)]
    assert 3 <= len(places) < 8 and min(b - a for a, b in zip(places, places[1:])) > 50


def test_a_long_line_keeps_its_peaks():
    points = [(step, math.sin(step / 50)) for step in range(10_000)]
    points[4321] = (4321, 9.0)
    kept = thin(points, 100)
    assert (4321, 9.0) in kept and 100 < len(kept) <= 200 and kept == sorted(kept)
    assert thin(points[:150], 100) == points[:150]


def test_the_running_mean_is_as_wide_as_a_thirtieth():
    values = [0.0] * 45 + [90.0] + [0.0] * 44
    mean, width = smooth(values)
    assert width == 3 and mean[44:47].tolist() == [30.0, 30.0, 30.0] and mean.sum() == pytest.approx(90)
    assert smooth(values[40:50])[1] == 1


def test_the_file_of_charts_stands_for_itself(tmp_path: Path):
    run_dir = make_run(tmp_path / "run <1>")
    render(run_dir)
    root = ElementTree.parse(run_dir / "training_curve.svg").getroot()
    named = [group[0].text for group in root.iter("{http://www.w3.org/2000/svg}g")]
    assert (
        named
        == [panel.title for panel in panels(read_run(run_dir))]
        == ["Loss", "Accuracy", "Reward, mean ± deviation", "Learning rate"]
    )
    assert not [key for node in root.iter() for key in node.attrib if "href" in key]


def test_several_runs_over_each_other(tmp_path: Path):
    runs = {name: read_run(make_run(tmp_path / name, validate=name == "b")) for name in ("a", "b")}
    found = {panel.title: panel for panel in overlaid(runs)}
    assert list(found) == ["Training loss", "Validation loss", "Validation accuracy", "Learning rate"]
    assert [name for _, name in found["Training loss"].legend] == ["a", "b"]
    assert found["Validation accuracy"].legend == [("s1", "b")]  # a run keeps its colour where another one logged nothing
    assert "b from 70.0% at step 10 to 75.0% at step 30" in found["Validation accuracy"].chart.alt
    assert style_of(9) == "s1 dashed"

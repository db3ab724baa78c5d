"""The sides of a case compute the same rewards, what they have to compute is counted right, and a figure is judged as the table says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from standin_kernel import StandIn

from basereward.flops import causal_pairs
from bench import __main__ as door
from bench import segments
from bench.inputs import draw, text_lengths
from bench.kinds import best_of, memory, text, training
from bench.models import Models
from bench.segments import Segments
from bench.table import Row

# float32, sums in another order: 5e-7 at most in the 36M shape.
SAME = 1e-5
KINDS = Path(training.__file__).parent


def test_every_case_names_a_kind_and_opponents_that_exist(setting):
    for name, case in setting.spec["cases"].items():
        assert (KINDS / f"{case['kind']}.py").is_file(), name
        if case["kind"] in ("training", "memory"):
            assert case["against"].keys() <= training.OPPONENTS.keys(), name
        for targets in case.get("against", {}).values():
            assert targets.keys() <= setting.spec["devices"].keys(), name
    assert {name for node in setting.spec["devices"].values() for name in node["shapes"]} <= setting.spec["shapes"].keys()


@pytest.mark.parametrize("name", ["pairs_256x8", "rankings_of_4"])
def test_opponents_give_our_rewards(setting, case, name):
    rows = list(training.measure(setting, name, case(name)))
    assert [row.against for row in rows] == list(case(name)["against"])
    assert all(row.difference <= SAME for row in rows)
    assert all(row.floor > 1 and row.seconds[0] > 0 for row in rows)


def test_sides_have_to_compute_what_their_layout_says(setting, case):
    """Two batches of two pairs; tokens and (query, key) pairs counted from the lengths alone, patches once for each row."""
    node, models, sizes = case("pairs_256x8"), setting.models(), setting.sizes()
    first, second, third, last = sorted(draw(node, setting.spec, models.stock.config), key=lambda item: item.lengths.longest)
    items = [first, third, second, last]
    prefixes = np.array([item.lengths.prefix for item in items])
    ends = prefixes[:, None] + np.array([item.lengths.responses for item in items])
    patches = [item.grids[0][1] * item.grids[0][2] for item in items]
    work = {key: side(models, items, node, setting, sizes).work for key, side in training.OPPONENTS.items()}
    assert work["U"].tokens == ends.sum()
    assert work["U"].pairs == (ends * (ends + 1) / 2).sum()
    assert work["U"].seen.patches == work["R"].seen.patches == work["S"].seen.patches == 2 * sum(patches)
    assert work["R"].tokens == sum(4 * ends[k : k + 2].max() for k in (0, 2))
    longest = sorted(ends.max(axis=1))
    assert work["S"].tokens == 4 * longest[1] + 4 * longest[3] < work["R"].tokens
    ours = training.packed_side(models, training.packs(items, node, setting), sizes).work
    assert ours.tokens == ends.sum() - prefixes.sum() and ours.seen.patches == sum(patches)
    assert ours.pairs == sum(causal_pairs(item.lengths.prefix, item.lengths.responses) for item in items)


def test_forwards_stay_within_the_limit(setting, case):
    node = case("pairs_256x8")
    items = draw(node, setting.spec, setting.models().stock.config)
    small = replace(setting, spec=setting.spec | {"shapes": {"tiny": setting.shape | {"tokens_per_forward": 1}}})
    assert [len(group) for group in training.packs(items, node, small)] == [1, 1, 1, 1]
    assert [len(group) for group in training.packs(items, node, setting)] == [2, 2]
    assert [len(group) for group in training.packs(items, node | {"tokens_per_forward": 1}, setting)] == [1, 1, 1, 1]


def test_scoring_gives_the_rewards_of_all_ways(setting, case):
    for name in ("best_of_16", "best_of_16_image"):
        rows = list(best_of.measure(setting, name, case(name, responses=3, response_tokens=5, prefix_tokens=300)))
        assert len(rows) == 2 and all(row.difference <= SAME for row in rows)
        assert f"{3 * 305 / 315:.2f}" in rows[0].note


def test_bytes_kept_for_the_backward_pass():
    """``x * w`` keeps both, ``x * x`` keeps x again, ``exp`` its result: with w a weight, 40 bytes of x and 40 of the result."""
    model = torch.nn.Module()
    model.w, x = torch.nn.Parameter(torch.ones(10)), torch.ones(10, requires_grad=True)
    kept = memory.saved(lambda: ((x * model.w) + (x * x)).exp(), Models(model, model))
    assert kept == 80


def test_packs_keep_less_than_padded_rows(setting, case):
    (row,) = memory.measure(setting, "memory_256x8", case("memory_256x8"))
    assert 0.3 < row.value < 0.8 and row.at_most


def test_the_classifier_is_what_trl_trains(setting, case):
    pytest.importorskip("trl")
    node = case("text_pairs")
    node.pop("image_tokens")
    ours, trl, beside = text.measure(setting, "text_pairs", node)
    assert [ours.against, trl.against, beside.against] == ["classifier", text.TRL, "classifier beside trl"]
    assert ours.difference <= SAME and trl.difference <= SAME
    assert beside.difference == 0


def test_a_row_without_trl_says_so(setting, case, monkeypatch):
    def absent(*args):
        raise ImportError("No module named 'trl'")

    monkeypatch.setattr(text, "trl_side", absent)
    node = case("text_pairs")
    node.pop("image_tokens")
    first, second = text.measure(setting, "text_pairs", node)
    assert "No module named 'trl'; pip install trl" in first.line("tiny") and first.is_met
    assert second.against == "classifier"


def test_losses_of_steps():
    """ln(1 + e^-1) = 0.313262 for a gap of 1, ln 2 for none; steps of one and of two pairs."""
    losses = text.losses_of(torch.tensor([1.0, 0.0, 2.0, 2.0, 3.0, 2.0]), [1, 2])
    assert losses.tolist() == pytest.approx([0.313262, (0.693147 + 0.313262) / 2], abs=1e-6)


@pytest.mark.parametrize(
    ("row", "cell", "met"),
    [
        (Row("c", "R", 2.5, 2.4), "| >= 2.4 met |", True),
        (Row("c", "R", 2.3, 2.4), "| >= 2.4 MISSED |", False),
        (Row("c", "R", 0.5, 0.6, at_most=True), "| <= 0.6 met |", True),
        (Row("c", "R", 0.7, 0.6, at_most=True), "| <= 0.6 MISSED |", False),
        (Row("c", "S", 1.8, floor=2.0, claim=0.9), "| 0.90 (>= 0.9) met |", True),
        (Row("c", "S", 1.7, floor=2.0, claim=0.9), "| 0.85 (>= 0.9) MISSED |", False),
        (Row("c", "S", 1.7, floor=2.0), "| 0.85 |", True),
    ],
)
def test_verdicts(row, cell, met):
    assert cell in row.line("36m") and row.is_met == met


def test_stored_lengths():
    assert text_lengths().shape == (1250, 3) and text_lengths("hh_rlhf_lengths.json").shape == (2303, 3)
    assert text_lengths().min() >= 1 and text_lengths("hh_rlhf_lengths.json").min() >= 1


def test_rows_side_by_side_on_a_kernel_see_themselves_alone(monkeypatch):
    """A stand-in for the kernel, by the definition, against the calls for each row."""
    query, (key, value) = torch.randn(1, 4, 5, 8), torch.randn(2, 1, 2, 5, 8)
    rows, kernel = Segments((2, 3), torch.device("cpu")), StandIn()
    expected, _ = segments.segment_attention(None, query, key, value, None, segments=rows, scaling=0.3)
    monkeypatch.setattr(segments, "kernel_for", lambda use: kernel)
    found, _ = segments.segment_attention(None, query, key, value, None, segments=rows, scaling=0.3)
    assert len(kernel.calls) == 1
    torch.testing.assert_close(found, expected)


def test_the_door_measures_judges_and_says_where_the_time_goes(setting, monkeypatch, capsys):
    """A target that nothing meets is reported as missed, with a profile; a case for another device with the reason."""
    node = setting.spec["cases"]["pairs_256x8"] | {"comparisons": 1, "batches": 1, "against": {"R": {"cpu": 1e6}}}
    monkeypatch.setitem(setting.spec["cases"], "pairs_256x8", node)
    monkeypatch.setitem(setting.spec["cases"], "best_of_16", {"kind": "best_of", "devices": ["cuda"]})
    monkeypatch.setattr(
        "sys.argv", ["bench", "--case", "pairs_256x8", "best_of_16", "--shape", "tiny", "--rounds", "1", "--device", "cpu"]
    )
    door.main()
    printed = capsys.readouterr().out
    assert ">= 1e+06 MISSED" in printed and "not measured: it needs a cuda device" in printed
    assert "0 of 1 rows meet what they must, 1 do not" in printed
    assert "tiny pairs_256x8, where the time of our side goes:" in printed and "%  aten::" in printed

"""Plans, epochs and runs that a case measures: their numbers against worked ones, their rewards against each other."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from basereward.flops import Sizes, Work
from bench import pipeline
from bench.kinds import grid, heads, mfu, planner, waiting

SAME = 1e-5


def test_numbers_of_a_plan():
    """Two ranks that cost 3 and 1: 3 to a mean of 2; 12 tokens in two packs of 10, or in three of which one would be empty."""
    assert planner.unevenness([[[0]], [[1]]], np.array([3.0, 1.0])) == 1.5
    assert planner.fill([[[0]], [[1]]], np.array([5, 7]), 10) == pytest.approx(0.6)
    assert planner.most_full(np.array([5, 7]), 10, ranks=1) == pytest.approx(0.6)
    assert planner.most_full(np.array([5, 7]), 10, ranks=3) == pytest.approx(0.4)


def test_plans_are_measured_for_all_ranks(setting, case):
    node = setting.spec["cases"]["planner"] | {"batches": 2, "ranks": [1, 8]}
    cost, one, eight = planner.measure(setting, "planner", node)
    assert 1 <= cost.value < 1.2 and cost.at_most and "of 1 to 8 ranks" in cost.note
    assert one.value <= one.floor <= 1 and eight.value <= eight.floor <= one.floor


def test_operations_that_mfu_counts(setting, case, monkeypatch):
    """6 for each weight and token (or patch), none for attention."""
    monkeypatch.setattr(mfu, "measured_peak", lambda device, dtype: 1e9)
    node = setting.spec["cases"]["mfu"] | {"comparisons": 2, "image_tokens": 256}
    (row,) = mfu.measure(setting, "mfu", node)
    work, sizes = row.ours.work, setting.sizes()
    products = sizes.language * work.tokens + sizes.vision * work.seen.patches + sizes.merger * work.seen.tokens
    assert row.value * row.seconds[0] * 1e9 == pytest.approx(6 * products)


def test_a_second_run_calls_no_tower_and_gives_the_same_rewards(setting, case):
    node = setting.spec["cases"]["second_run"] | {"comparisons": 2, "image_tokens": 256}
    run, calls = grid.measure(setting, "second_run", node)
    assert "(1 : 0 calls of the tower)" in run.note and run.difference <= SAME
    assert calls.value == 0 and calls.is_met and run.floor > 1


def test_the_limit_of_a_second_run():
    """Per token 100 weights, trained: 600 operations. Per patch 50 of a frozen tower: 100. One token of 4 patches: 1000 to 600."""
    sizes = Sizes(language=100, layers=0, query_width=1, vision=50)
    seen = type(Work().seen)(patches=4, tokens=1)
    assert grid.of_the_tower(sizes, Work(tokens=1, seen=seen)) == pytest.approx(1000 / 600)


def test_heads_on_kept_states_train_as_on_a_frozen_backbone(setting, case):
    node = setting.spec["cases"]["head_ablation"] | {"comparisons": 2, "batches": 1}
    with pipeline.counted(setting.models().ours.model.language_model) as calls:
        (row,) = heads.measure(setting, "head_ablation", node)
    assert row.floor == 8 * 3 and row.difference <= SAME
    assert len(calls) == 2  # the epoch that is compared with, and the one that keeps states


def test_training_is_as_it_was_after_a_case(setting):
    model = setting.models().ours
    with pipeline.trained(model, "head"):
        assert {name for name, p in model.named_parameters() if p.requires_grad} == {
            f"score.{name}" for name, _ in model.score.named_parameters()
        }
    assert all(p.requires_grad for p in model.parameters())


def test_texts_have_the_lengths_that_are_stored(setting, tmp_path):
    rows = pipeline.write_rows(tmp_path, 2, [(56, 84)])
    items = list(pipeline.make_encoder(setting).encode_all(rows))
    lengths = pipeline.text_lengths()[np.random.default_rng(0).permutation(1250)[:2]]
    assert [item.lengths.responses for item in items] == [tuple(pair) for pair in (lengths[:, 1:] + 1).tolist()]
    assert [item.lengths.image_tokens for item in items] == [(6,), (6,)]
    assert (items[0].prefix_ids == setting.models().ours.config.image_token_id).sum() == 6


def test_waiting_is_the_time_until_a_step_is_there():
    def slow():
        for k in range(3):
            time.sleep(0.02)
            yield k

    clock = waiting.Waiting(slow())
    for _ in clock:
        time.sleep(0.04)
    assert 0.06 <= clock.waited < 0.12 <= clock.seconds - clock.waited


def test_the_share_of_waiting(setting, case):
    node = setting.spec["cases"]["data_wait"] | {"comparisons": 1, "batches": 2, "workers": 1, "pixels": 56}
    (row,) = waiting.measure(setting, "data_wait", node)
    assert 0 <= row.value <= 1 and row.at_most and row.seconds[0] <= row.seconds[1]
    assert all(torch.isfinite(p).all() for p in setting.models().ours.parameters())

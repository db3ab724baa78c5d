"""Memory runs out: the same batch in smaller packs, the same result; and a budget that is measured."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from test_training import largest_difference, losses

from basereward import train
from basereward.budget import LiveTensors, Need, TakenMemory, measured_need, tokens_within
from basereward.devices import _available, _left_in_group
from basereward.errors import BaseRewardError

SAME = ("run.log_every=1", "run.final=last", "run.max_steps=4", "batch.token_budget=8192")


def prepared(settings):
    trainer, _, _ = train.prepare(settings)
    trainer.model.model.double()
    return trainer


@pytest.fixture
def undisturbed(small):
    """The weights and losses of four steps."""
    settings = small("undisturbed", *SAME)
    trainer = prepared(settings)
    trainer.train()
    return trainer.model.state_dict(), losses(Path(settings.run.dir))


@pytest.mark.parametrize("when", ["in the forward", "after some of the backward"])
def test_a_step_that_runs_out_of_memory_is_computed_in_smaller_packs(small, undisturbed, when, caplog):
    settings = small("disturbed", *SAME)
    trainer, failures = prepared(settings), []
    forward, backward = trainer.run_step.model.forward, trainer.run_step.backward

    def fails(pack) -> bool:
        return trainer.state.global_step == 1 and pack.num_tokens > 300

    def failing_forward(pack, *options):
        if when == "in the forward" and fails(pack):
            failures.append(pack.num_tokens)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        failing_forward.pack = pack
        return forward(pack, *options)

    def failing_backward(loss):
        backward(loss)  # its gradients are there, and must not count
        if when != "in the forward" and fails(failing_forward.pack):
            failures.append(failing_forward.pack.num_tokens)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")

    trainer.run_step.model.forward, trainer.run_step.backward = failing_forward, failing_backward
    with caplog.at_level(logging.WARNING, logger="basereward"):
        trainer.train()
    assert failures and trainer.sampler.deal.own_budget <= failures[0] // 2
    assert "out of memory with a pack of" in caplog.text
    weights, expected = undisturbed
    assert losses(Path(settings.run.dir)) == pytest.approx(expected, abs=1e-6)
    assert largest_difference(weights, trainer.model.state_dict()) < 1e-6


def test_later_steps_are_planned_within_the_lower_budget(small):
    trainer = prepared(small("later", *SAME))
    deal = trainer.sampler.deal
    batch = trainer.sampler.order(0)[:8]
    whole = deal(batch)
    deal.own_budget = 120
    parts = deal(batch)
    assert len(parts) > len(whole) == 1 and sorted(sum(parts, [])) == sorted(sum(whole, []))
    assert all(deal.fits(members) for members in parts)


def test_one_comparison_that_does_not_fit_is_an_error_that_says_what_to_do(small):
    trainer = prepared(small("never", *SAME))

    def fails(pack, *options):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    trainer.run_step.model.forward = fails
    with pytest.raises(BaseRewardError, match=r"Lower batch\.max_length"):
        trainer.train()


def test_a_measured_budget_changes_nothing_but_the_packs(small, caplog):
    """The measuring leaves no gradient and no random number behind: the run is that of the same budget given as a number."""
    with caplog.at_level(logging.INFO, logger="basereward"):
        auto, _, _ = train.prepare(small("auto", *SAME, "batch.token_budget=auto"))
    budget = auto.sampler.deal.token_budget
    assert f"batch.token_budget=auto: {budget} tokens" in caplog.text and budget == auto.val_scorer.token_budget > 1
    assert all(p.grad is None for p in auto.model.parameters())
    given, _, _ = train.prepare(small("given", *SAME, f"batch.token_budget={budget}"))
    for trainer in (auto, given):
        trainer.train()
    assert largest_difference(auto.model.state_dict(), given.model.state_dict()) == 0


def test_the_measured_need_foretells_a_larger_pack(small):
    trainer, _, _ = train.prepare(small("need", *SAME))
    run_step = trainer.run_step
    need = measured_need(run_step)
    trainer.model.train()
    step = run_step.to_step(run_step.dataset.__getitems__([list(range(40))]))
    with TakenMemory(torch.device("cpu")) as memory:
        run_step.compute(step, step.total_weight)
    foretold = need.fixed + need.per_token * step.packs[0].num_tokens
    assert 0.7 * foretold < memory.peak < 1.1 * foretold


def test_live_tensors_by_hand():
    """Two products of 4,000 bytes of which the first is freed before the second: a peak of one; a view takes nothing."""
    a = torch.ones(1000)
    with LiveTensors() as live:
        b = a * 2
        del b
        c = a * 3
        c.view(10, 100)
    assert live.peak == 4000 and live.now == 4000
    with LiveTensors() as live:
        kept = [a * 2, a * 3]
        a.add_(1)
    assert live.peak == 8000 and len(kept) == 2


def test_tokens_within_bytes():
    assert tokens_within(1e9, Need(fixed=2e8, per_token=1e5)) == 6000  # 0.8 of 1e9, less 2e8
    assert tokens_within(0, Need(fixed=5, per_token=7)) == 1
    assert tokens_within(1e15, Need(fixed=5, per_token=7)) == 65536


def test_free_memory_is_read_from_the_system(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable:   40 kB\n")
    assert _available(tmp_path / "meminfo") == 40 * 1024 and _available(tmp_path / "none") is None
    for name, text in (("max", "1000\n"), ("current", "700\n"), ("stat", "anon 100\ninactive_file 250\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert _left_in_group(tmp_path) == 550 and _left_in_group(tmp_path / "none") is None
    (tmp_path / "memory.max").write_text("max\n")
    assert _left_in_group(tmp_path) is None

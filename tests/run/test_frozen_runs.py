"""Runs that keep what is frozen: the same training as without, and nothing computed twice, in an epoch, a second run or a resumed one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel, Qwen2_5_VLTextModel

from basereward import train
from basereward.errors import ConfigError
from basereward.frozen.files import kept_files
from basereward.run_lock import unlock

EPOCHS = ("run.epochs=2", "run.max_steps=null", "run.eval_every=8", "optim.lr=1e-3", "optim.warmup=0")


@pytest.fixture
def calls(monkeypatch) -> dict[str, int]:
    """How often towers and decoders of any model ran, by class, outside of the probes that a checkpoint is compared with."""
    count = {"vision": 0, "language": 0}
    probing = []

    def counted(kind: str, forward):
        def wrapped(self, *args, **kwargs):
            count[kind] += not probing
            return forward(self, *args, **kwargs)

        return wrapped

    for kind, model in (("vision", Qwen2_5_VisionTransformerPretrainedModel), ("language", Qwen2_5_VLTextModel)):
        monkeypatch.setattr(model, "forward", counted(kind, model.forward))
    alone = train.checkpoint.rewards_alone

    def probe(*args):
        probing.append(1)
        try:
            return alone(*args)
        finally:
            probing.pop()

    monkeypatch.setattr(train.checkpoint, "rewards_alone", probe)
    return count


def run(small, name: str, *overrides: str) -> Path:
    """A run in what is a new process to the files."""
    kept_files.cache_clear()
    settings = small(name, *EPOCHS, *overrides)
    assert train.run(settings) == 0
    return Path(settings.run.dir)


def losses(run_dir: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [row[key] for row in rows for key in ("loss", "eval_loss") if key in row]


def test_frozen_vision_calls_the_tower_once_for_each_picture(small, calls, tmp_path):
    parts = ("parts=frozen_vision", "data.sources.demo.n=64", "data.val.n=16")
    cached = (*parts, "cache.vision=true", f"cache.dir={tmp_path / 'cache'}")
    plain = run(small, "plain", *parts)
    assert calls["vision"] > 16, "training, validation and the report"
    calls["vision"] = 0
    first = run(small, "first", *cached)
    assert 0 < calls["vision"] <= 8 + 2, "the packs of one epoch and those of the validation rows"
    calls["vision"] = 0
    second = run(small, "second", *cached, "head=linear", "batch.workers=2")
    assert calls["vision"] == 0
    third = run(small, "third", *cached, "run.seed=1")
    assert calls["vision"] > 0, "another seed draws another tower"
    assert len(losses(first)) == len(losses(plain)) > 4
    torch.testing.assert_close(losses(first), losses(plain), rtol=0, atol=1e-5)
    assert losses(second) != losses(first) != losses(third)


def test_head_only_runs_the_backbone_once_for_each_comparison(small, calls, tmp_path):
    parts = ("parts=head_only", "data.sources.demo.n=64", "data.val.n=16")
    cached = (*parts, "cache.hidden=true", f"cache.dir={tmp_path / 'cache'}")
    for head in ("mlp", "linear"):
        plain = run(small, f"plain-{head}", *parts, f"head={head}")
        used = dict(calls)
        kept = run(small, f"kept-{head}", *cached, f"head={head}")
        found = {kind: calls[kind] - used[kind] for kind in calls}
        assert found == {"vision": 0, "language": 0} if head == "linear" else 0 < found["language"] <= used["language"] / 2
        torch.testing.assert_close(losses(kept), losses(plain), rtol=0, atol=1e-5)


def test_a_checkpoint_is_scored_by_the_model_and_not_by_rounded_features(small, tmp_path):
    """Its probe would not fit the weights: loading it, as the run does at its end, compares them."""
    finished = run(small, "int8", "parts=frozen_vision", "data.sources.demo.n=48", "data.val.n=16", "cache.vision=true",
                   "cache.dtype=int8", f"cache.dir={tmp_path / 'cache'}")  # fmt: skip
    train.checkpoint.load(finished)


def test_a_run_that_was_stopped_goes_on_with_another_cache(small, tmp_path):
    """The place, the limit and whether it is kept at all are free on resume; the result does not depend on them."""
    overrides = ("parts=frozen_vision", "data.sources.demo.n=48", "data.val.n=16", "run.eval_every=2")
    whole = run(small, "whole", *overrides, "cache.vision=true", f"cache.dir={tmp_path / 'cache'}")
    kept_files.cache_clear()
    settings = small("stopped", *EPOCHS, *overrides)
    trainer = train.prepare(settings)[0]
    trainer.add_callback(StopAt(4))
    trainer.train()
    unlock(Path(settings.run.dir))
    resumed = run(small, "stopped", *overrides, "run.resume=true", "cache.vision=true", f"cache.dir={tmp_path / 'cache'}",
                  "cache.max_gib=2")  # fmt: skip
    torch.testing.assert_close(losses(resumed)[-3:], losses(whole)[-3:], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("overrides", "message"), [
    (["cache.vision=true"], r"cache.vision: expected a vision tower that is not trained, found parts.train=\['\*'\]"),
    (["cache.vision=true", "parts=lora", "parts.lora.modules=[vision]"], r"found parts.lora.modules=\['vision'\]"),
    (["cache.vision=true", "parts=frozen_vision", "parts.train=[model.visual.blocks.0.*]"], "found model.visual.blocks.0"),
    (["cache.vision=true", "parts=head_only", "cache.dtype=float16"], "cache.dtype: 'float16' is not known"),
    (["cache.vision=true", "parts=language_model", "backbone=tiny_qwen2_5", "data.without_images=true"], "reads text only"),
    (["cache.hidden=true", "parts=frozen_vision"], r"cache.hidden: expected a backbone of which nothing is trained, found parts.train"),
    (["cache.hidden=true", "parts=lora"], "parts=head_only"),
    (["cache.hidden=true", "parts=head_only", "pooling=attention"], "use pooling=last or pooling=mean"),
    (["cache.vision=true", "parts=head_only", "cache.max_gib=0"], "cache.max_gib: expected null or a value above 0"),
])  # fmt: skip
def test_what_cannot_be_kept_is_refused_by_the_plan_and_the_run(overrides, message, small):
    for start in (train.plan, train.run):
        with pytest.raises(ConfigError, match=message):
            start(small("refused", *overrides))


def test_the_plan_says_how_large_an_image_token_is(small):
    """Published sizes: hidden 3584 and 2048, four patches of 1280 before the merger; computed, not measured."""
    for backbone, parts, dtype, size in (
        ("qwen2_5_vl_7b", "language_model", "null", 7168),
        ("qwen2_5_vl_3b", "language_model", "int8", 2112),
        ("qwen2_5_vl_7b", "frozen_vision", "null", 10240),
    ):
        text = train.plan(small("plan", f"backbone={backbone}", f"parts={parts}", f"cache.dtype={dtype}", "cache.vision=true",
                                "optim.precision=bf16"))  # fmt: skip
        assert f"cache.vision: {size:,} bytes on disk for each image token" in text
    text = train.plan(small("plan", "backbone=qwen2_5_vl_7b", "parts=head_only", "cache.hidden=true", "optim.precision=bf16"))
    assert "cache.hidden: 14,336 bytes on disk for each response" in text


def test_a_cache_that_cannot_be_written_is_an_error_of_the_config(small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cache.dir: expected a folder that can be written"):
        train.run(small("refused", "parts=head_only", "cache.vision=true", f"cache.dir={tmp_path / 'file'}"))


class StopAt(TrainerCallback):
    """Ends training after a step, as if it had been stopped there."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step

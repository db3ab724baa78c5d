"""Training: the batch defines the step, resume continues bit for bit, and a run directory is whole or absent."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from run_settings import SMALL, TIMED, killed_while_saving
from safetensors.torch import load_file

from basereward import checkpoint, train
from basereward.compose import compose
from basereward.errors import ConfigError, DataError
from basereward.run_directory import newest_checkpoint
from basereward.settings import TrainSettings


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def metrics(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def losses(run_dir: Path) -> list[float]:
    return [row["loss"] for row in metrics(run_dir) if "loss" in row]


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    return max((a[name] - b[name]).abs().max().item() for name in a)


def test_a_run_leaves_what_the_next_stages_need(small):
    settings = small("run")
    assert train.run(settings) == 0
    run_dir = Path(settings.run.dir)
    present = {path.name for path in run_dir.iterdir()}
    assert {
        "config.yaml",
        "overrides.txt",
        "environment.json",
        "data_manifest.json",
        "metrics.jsonl",
        "checkpoints",
        "final",
    } <= present
    assert "backbone" not in present
    steps = [row["step"] for row in metrics(run_dir) if "loss" in row]
    assert steps == [4, 8, 12]
    logged = {"accuracy", "ties", "margin", "reward_mean", "reward_std", "tokens_per_second", "comparisons_per_second"}
    logged |= {"useful_tokens", "data_wait", "mfu", "peak_memory_gib"}
    assert logged <= metrics(run_dir)[0].keys()
    validations = [row for row in metrics(run_dir) if "eval_accuracy" in row]
    assert [row["step"] for row in validations] == [4, 8, 12]
    model, encoder = checkpoint.load(run_dir)
    assert not list((run_dir / "final").glob("*.bin")) and not list((run_dir / "final").glob("*.pt"))


def test_final_is_the_best_checkpoint_or_the_last(small):
    best, last = small("best", "run.keep=9"), small("last", "run.keep=9", "run.final=last")
    for settings in (best, last):
        train.run(settings)
    rows = [row for row in metrics(Path(best.run.dir)) if "eval_accuracy" in row]
    winner = max(rows, key=lambda row: row["eval_accuracy"])["step"]  # the first among equals, as Trainer counts it
    assert largest_difference(weights(Path(best.run.dir) / "final"),
                              weights(Path(best.run.dir) / f"checkpoints/checkpoint-{winner}")) == 0  # fmt: skip
    assert (
        largest_difference(weights(Path(last.run.dir) / "final"), weights(Path(last.run.dir) / "checkpoints/checkpoint-12")) == 0
    )


@pytest.mark.parametrize("unit", ["comparison", "pair"])
def test_one_pack_is_many_packs(small, unit):
    """A batch of 8 in one pack, in packs of one comparison each, and in between: the same losses and weights after 12 AdamW steps.

    The backbone is float64 here: AdamW divides a gradient by its own size, so where the true gradient is 0 (the biases of the keys, to
    which a softmax is blind) float32 rounding moves a weight by up to the rate. Measured in float32 at this rate: 6e-5 to 1e-4.
    """
    same = (f"loss.unit={unit}", "run.log_every=1", "run.final=last")
    runs = [small(f"budget{budget}", f"batch.token_budget={budget}", *same) for budget in (8192, 1, 120)]
    ends = []
    for settings in runs:
        trainer, _, _ = train.prepare(settings)
        trainer.model.model.double()
        trainer.train()
        ends.append(trainer.model.state_dict())
    for other, end in zip(runs[1:], ends[1:]):
        assert losses(Path(runs[0].run.dir)) == pytest.approx(losses(Path(other.run.dir)), abs=1e-6)
        assert largest_difference(ends[0], end) < 1e-6


def test_the_unit_matters(small):
    """Rankings of 3 and 4 weigh more when a pair weighs 1."""
    runs = [small(unit, f"loss.unit={unit}", "run.log_every=1", "run.max_steps=4") for unit in ("comparison", "pair")]
    for settings in runs:
        train.run(settings)
    by_comparison, by_pair = (losses(Path(settings.run.dir)) for settings in runs)
    assert max(abs(a - b) for a, b in zip(by_comparison, by_pair)) > 1e-4


def test_the_loss_starts_at_ln_2_and_every_parameter_that_should_moves(small, tiny_folder):
    settings = small("moves", "optim.warmup=0", "run.log_every=1", "run.final=last")
    trainer, _, _ = train.prepare(settings)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    assert losses(Path(settings.run.dir))[0] == pytest.approx(0.6931, abs=0.02)
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == [], still


def test_resume_equals_uninterrupted(small):
    """Stopped after the first checkpoint, and continued in a copy elsewhere: bit-identical weights, the same losses and validations."""
    whole, parts = small("whole"), small("parts")
    train.run(whole)
    trainer, _, probe = train.prepare(parts)
    save = trainer._save_checkpoint

    def save_and_stop(model, trial):
        save(model, trial)
        raise KeyboardInterrupt

    trainer._save_checkpoint = save_and_stop
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert newest_checkpoint(Path(parts.run.dir)).name == "checkpoint-4"
    copied = small("copied", "run.resume=true")
    shutil.copytree(parts.run.dir, copied.run.dir)
    train.run(copied)
    assert_same_run(Path(whole.run.dir), Path(copied.run.dir))
    stored = json.loads((newest_checkpoint(Path(copied.run.dir)) / "trainer_state.json").read_text())
    assert Path(stored["best_model_checkpoint"]).parent == Path(copied.run.dir) / "checkpoints"
    assert_pausing_changes_nothing(small, Path(whole.run.dir))


def assert_same_run(a: Path, b: Path) -> None:
    """The same weights and the same numbers, but for those of a clock."""
    assert largest_difference(weights(a / "final"), weights(b / "final")) == 0
    rows = [[row for row in metrics(run) if "train_runtime" not in row] for run in (a, b)]
    kept = [[{k: v for k, v in row.items() if not k.endswith(TIMED)} for row in found] for found in rows]
    assert kept[0] == kept[1]


def assert_pausing_changes_nothing(small, whole: Path) -> None:
    """``run.pause_at`` ends behind a checkpoint, on the schedule of the whole run; asked again, nothing is trained."""
    run_dir = Path(small("paused").run.dir)
    assert train.run(small("paused", "run.pause_at=4", "run.resume=true")) == 0
    assert newest_checkpoint(run_dir).name == "checkpoint-4" and not (run_dir / "final").exists()
    before = (run_dir / "metrics.jsonl").read_bytes()
    assert train.run(small("paused", "run.pause_at=4", "run.resume=true")) == 0
    assert (run_dir / "metrics.jsonl").read_bytes() == before and not (run_dir / "final").exists()
    assert train.run(small("paused", "run.pause_at=12", "run.resume=true")) == 0  # no pause at the last step
    assert_same_run(whole, run_dir)
    with pytest.raises(ConfigError, match=r"run\.pause_at: expected a multiple of run\.eval_every=4"):
        train.run(small("never", "run.pause_at=6"))


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(small, tmp_path):
    """The process is killed (SIGKILL) in the middle of writing checkpoint-8, after its weights; checkpoint-4 is found and loads."""
    settings = small("killed")
    killed_while_saving(8, [*SMALL, f"run.dir={settings.run.dir}"])
    run_dir = Path(settings.run.dir)
    assert (run_dir / "checkpoints/.writing-checkpoint-8").is_dir()
    assert newest_checkpoint(run_dir).name == "checkpoint-4"
    checkpoint.load(newest_checkpoint(run_dir))
    settings.run.resume = True
    train.run(settings)
    whole = small("whole")
    train.run(whole)
    assert largest_difference(weights(run_dir / "final"), weights(Path(whole.run.dir) / "final")) == 0


def test_killed_at_any_moment_it_continues(small):
    """SIGKILL after a random while, three times, then to the end: a finished run."""
    settings = small("battered", "run.max_steps=30", "run.eval_every=3")
    overrides = [*SMALL, "run.max_steps=30", "run.eval_every=3", f"run.dir={settings.run.dir}", "run.resume=true"]
    run_dir = Path(settings.run.dir)
    for wanted in (1, 2, 3):
        process = subprocess.Popen([sys.executable, "-m", "basereward.cli", "train", *overrides], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            found = newest_checkpoint(run_dir)
            if found and int(found.name.split("-")[1]) >= 3 * wanted:
                break
            time.sleep(0.01 * wanted)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if newest_checkpoint(run_dir):
            checkpoint.load(newest_checkpoint(run_dir))
    settings.run.resume = True
    train.run(settings)
    assert (run_dir / "final" / "config.json").is_file()


def test_bf16_computes_in_bf16_and_keeps_float32_weights(small):
    settings = small("bf16", "optim.precision=bf16", "run.max_steps=2", "run.eval_every=2")
    trainer, _, _ = train.prepare(settings)
    seen = []
    layer = trainer.model.model.language_model.layers[0].mlp
    # The probe of a checkpoint is scored in float32, in eval mode.
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype) if module.training else None)
    rewards = []
    trainer.model.score.register_forward_hook(lambda module, inputs, output: rewards.append(output.dtype))
    trainer.train()
    assert set(seen) == {torch.bfloat16} and set(rewards) == {torch.float32}
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    moments = {v.dtype for state in trainer.optimizer.state.values() for k, v in state.items() if k.startswith("exp_avg")}
    assert moments == {torch.float32}


def test_a_run_directory_is_not_overwritten_or_mixed(small):
    settings = small("run", "run.max_steps=4")
    train.run(settings)
    with pytest.raises(ConfigError, match="run.resume=true"):
        train.run(settings)
    finished = small("run", "run.max_steps=4", "run.resume=true")
    assert train.run(finished) == 0  # nothing to do
    (Path(settings.run.dir) / "final").rename(Path(settings.run.dir) / "was_final")
    with pytest.raises(ConfigError, match=r"optim\.lr: 0\.0007 then, 0\.001 now"):
        train.run(small("run", "run.max_steps=4", "run.resume=true", "optim.lr=1e-3"))


def test_nothing_is_left_when_a_run_cannot_start(small, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "a", "chosen": "b"}\n')
    with pytest.raises(DataError):
        train.run(compose("train", ["data=custom", f"data.path={bad}", f"run.dir={tmp_path / 'never'}"], TrainSettings))
    with pytest.raises(DataError, match=r"batch\.max_length=5 tokens, found none"):
        train.run(small("never", "batch.max_length=5"))
    assert not (tmp_path / "never").exists()


def test_too_long_is_dropped_and_counted(small):
    settings = small("short", "batch.max_length=40", "run.max_steps=2", "run.eval_every=2")
    train.run(settings)
    manifest = json.loads((Path(settings.run.dir) / "data_manifest.json").read_text())
    dropped = manifest["sources"]["demo"]["dropped"]["longer than batch.max_length"]
    assert 0 < dropped < 96
    with pytest.raises(DataError, match=r"batch\.max_length=40 tokens, found \d+"):
        train.run(small("refused", "batch.max_length=40", "batch.on_long=error"))


def test_workers_give_the_same_run(small):
    runs = [small(f"workers{n}", f"batch.workers={n}", "run.max_steps=4") for n in (0, 2)]
    for settings in runs:
        train.run(settings)
    a, b = (weights(Path(settings.run.dir) / "final") for settings in runs)
    assert largest_difference(a, b) == 0

"""A training run's settings -> its trainer, with everything that tells and writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainingArguments

from basereward import ranks
from basereward.batches import EncodedDataset, ToStep
from basereward.budget import AUTO, first_budget, fitting_budget
from basereward.callbacks import MetricsFile, PauseAt, Progress, tensorboard
from basereward.errors import ConfigError
from basereward.flops import Sizes
from basereward.losses.base import Loss
from basereward.memory import taken_later
from basereward.mixture import DataBundle
from basereward.model import RewardModel
from basereward.parts import param_groups, passes_of
from basereward.runtime import pick_device
from basereward.settings import RunSettings, TrainSettings
from basereward.shares import MixtureOrder
from basereward.speed import Machine
from basereward.trainable import make_optimizer
from basereward.trainer import RewardTrainer


def make_trainer(
    settings: TrainSettings,
    model: RewardModel,
    dataset: EncodedDataset,
    order: MixtureOrder,
    data: DataBundle,
    loss: Loss,
    probe: Sequence,
    run_dir: Path,
) -> RewardTrainer:
    """The trainer with its callbacks."""
    to_step = ToStep(dataset.encoder, settings.loss.get("unit", "comparison"), count_ties=loss.reads_ties)
    trainer = RewardTrainer(
        model=model, args=training_arguments(settings, run_dir, len(order), validate=bool(data.val)), dataset=dataset, order=order,
        val=data.val, probe=probe, loss=loss, average=settings.optim.average, to_step=to_step,
        make_optimizer=lambda model: make_optimizer(settings, param_groups(model, settings.parts, settings.optim)),
        token_budget=first_budget(settings.batch), machine=machine(settings, model), workers=settings.batch.workers,
        keep=settings.run.keep, callbacks=make_callbacks(settings, run_dir),
    )  # fmt: skip
    if settings.batch.token_budget == AUTO:
        trainer.set_token_budget(fitting_budget(trainer.run_step, taken_later(model, settings.optim)))
    return trainer


def check_pause(run: RunSettings) -> None:
    """Refuses to pause where no checkpoint is written: one more validation could choose other weights."""
    if run.pause_at is not None and (run.pause_at < 1 or run.pause_at % run.eval_every):
        raise ConfigError(
            f"run.pause_at: expected a multiple of run.eval_every={run.eval_every}, where a checkpoint is written; found "
            f"{run.pause_at}; use {max(1, round(run.pause_at / run.eval_every)) * run.eval_every}"
        )


def make_callbacks(settings: TrainSettings, run_dir: Path) -> list[TrainerCallback]:
    """What tells and writes, on rank 0 alone, and on every rank what pauses."""
    pause = [PauseAt(settings.run.pause_at)] if settings.run.pause_at is not None else []
    if not ranks.is_main():
        return pause
    board = tensorboard(run_dir / "tensorboard") if settings.run.tensorboard else None
    return [Progress(), MetricsFile(run_dir / "metrics.jsonl"), *([board] if board else []), *pause]


def machine(settings: TrainSettings, model: RewardModel) -> Machine:
    """What a step costs, and the device and dtype that it runs in."""
    dtype = torch.float32 if settings.optim.precision == "float32" else torch.bfloat16
    return Machine(ranks.device(pick_device(settings.run.device)), dtype, Sizes.of(model.config), passes_of(model))


def training_arguments(settings: TrainSettings, run_dir: Path, num_comparisons: int, *, validate: bool) -> TrainingArguments:
    """Our settings in the Trainer's words; without validation rows there is no best checkpoint, only the last."""
    optim, run_ = settings.optim, settings.run
    steps = num_steps(settings, num_comparisons)
    best = {"metric_for_best_model": "accuracy", "greater_is_better": True} if validate else {}
    return TrainingArguments(
        output_dir=str(run_dir / "checkpoints"), per_device_train_batch_size=settings.batch.size, max_steps=steps,
        learning_rate=optim.lr, lr_scheduler_type=optim.schedule, warmup_steps=round(optim.warmup * steps),
        max_grad_norm=optim.max_grad_norm, bf16=optim.precision != "float32", use_cpu=pick_device(run_.device).type == "cpu",
        seed=run_.seed, data_seed=run_.seed,
        logging_steps=run_.log_every, eval_strategy="steps" if validate else "no", eval_steps=run_.eval_every, save_strategy="steps",
        save_steps=run_.eval_every, logging_nan_inf_filter=False, disable_tqdm=True, report_to="none",
        remove_unused_columns=False, **best,
    )  # fmt: skip


def num_steps(settings: TrainSettings, num_comparisons: int) -> int:
    """Optimizer steps of the run."""
    per_epoch = -(-num_comparisons // settings.batch.size)
    return settings.run.max_steps or max(1, round(settings.run.epochs * per_epoch))

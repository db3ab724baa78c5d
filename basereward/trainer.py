"""A thin Trainer: one optimizer step is one batch of comparisons, however many packs it takes.

What transformers.Trainer keeps doing: optimizer, schedule, clipping, autocast, logging, best-model bookkeeping, resume.
What is ours: the loop over packs with the exact mean over the batch, the metrics, and checkpoints that are whole or absent.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback

from basereward import adapter_folder, checkpoint
from basereward.averaging import WeightAverage
from basereward.batches import BatchSampler, EncodedDataset, Step, ToStep, make_loader
from basereward.losses.base import Loss
from basereward.meters import Meter, evaluate_comparisons
from basereward.model import RewardModel
from basereward.records import Comparison
from basereward.runtime import written_aside
from basereward.scorer import Scorer

OptimizerOf = Callable[[RewardModel], torch.optim.Optimizer]
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")


class RewardTrainer(Trainer):
    """Trains a reward model on packs.

    Args:
        model: with what is trained chosen and in its dtype; bf16 compute is a matter of ``args`` (autocast).
        args: made by ``train.training_arguments``; ``per_device_train_batch_size`` is the number of comparisons of a step.
        dataset: encoded comparisons. val: comparisons for validation. probe: comparisons stored with each checkpoint.
        loss: rewards and labels -> one loss per comparison.
        make_optimizer: called with the model when it lies on its device.
        average: decay of the moving average of the weights; none when ``None``.
        to_step: deals a batch into packs. token_budget: of validation packs.
        keep: newest checkpoints kept beside the best.
    """

    def __init__(
        self, *, model: RewardModel, args: TrainingArguments, dataset: EncodedDataset, val: Sequence[Comparison],
        probe: Sequence[Comparison], loss: Loss, make_optimizer: OptimizerOf, average: float | None, to_step: ToStep, workers: int,
        keep: int, callbacks: list[TrainerCallback],
    ):  # fmt: skip
        self.sampler = BatchSampler(len(dataset), args.per_device_train_batch_size, args.seed)
        self.meter = Meter()
        super().__init__(model=model, args=args, train_dataset=dataset, eval_dataset=val,
                         callbacks=[EpochOrder(self.sampler), StepClock(self.meter), *callbacks])  # fmt: skip
        self.remove_callback(PrinterCallback)
        self.val, self.probe, self.loss, self.to_step, self.workers, self.keep = val, probe, loss, to_step, workers, keep
        self.make_optimizer = make_optimizer
        self.average = WeightAverage(model, average) if average is not None else None
        if self.average:
            self.add_callback(self.average)
        self.encoder = dataset.encoder
        autocast = torch.bfloat16 if args.bf16 else None
        self.val_scorer = Scorer(model, dataset.encoder, token_budget=to_step.token_budget, autocast=autocast)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer of the config; the schedule and clipping stay the Trainer's."""
        if self.optimizer is None:
            self.optimizer = self.make_optimizer(self.model)
        return self.optimizer

    def averaged(self) -> AbstractContextManager:
        """The model has the averaged weights while this lasts, where an average is kept."""
        return self.average.in_place() if self.average else nullcontext()

    def get_train_dataloader(self):
        """One ``Step`` per batch; not prepared by accelerate, because packs are dealt by us and moved one at a time."""
        pin = self.args.device.type == "cuda"
        return make_loader(self.train_dataset, self.sampler, self.to_step, workers=self.workers, pin=pin)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """The next step; ``None`` for the item count, because a step carries its own."""
        self.meter.start_step()
        return list(islice(epoch_iterator, num_batches)), None

    def training_step(self, model: torch.nn.Module, inputs: Step, num_items_in_batch=None) -> torch.Tensor:
        """Forward and backward of each pack; their gradients add up to that of the weighted mean over the whole batch."""
        model.train()
        total = torch.zeros((), device=self.args.device)
        for pack in inputs.packs:
            pack = pack.to(self.args.device)
            with self.compute_loss_context_manager():
                reward_R = model(pack)
            loss_C = self.loss(reward_R, pack.labels)
            share = (loss_C * pack.labels.weight_C).sum() / inputs.total_weight
            self.accelerator.backward(share)
            total += share.detach()
            self.meter.add(pack, reward_R.detach())
        return total

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what the packs since the last log showed: accuracy, ties, margins, rewards, speed."""
        if "loss" in logs:
            logs |= self.meter.drain() | self.rates()
        super().log(logs, start_time)

    def rates(self) -> dict[str, float]:
        """The learning rate of each part, where they differ."""
        groups = self.optimizer.param_groups
        differ = len({group["initial_lr"] for group in groups}) > 1
        return {f"learning_rate/{group['part']}": group["lr"] for group in groups} if differ else {}

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """Scores the validation comparisons and logs ``eval_*``."""
        with self.averaged():
            metrics = evaluate_comparisons(self.val_scorer, self.val, self.loss)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def floating_point_ops(self, inputs: Any) -> int:
        """0: the stock estimate reads ``input_ids`` of a padded batch, which packs do not have."""
        return 0

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Writes a checkpoint aside and renames it, so that a kill at any moment leaves the previous one as the newest."""
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.state.best_global_step == self.state.global_step:
            self.state.best_model_checkpoint = str(folder)
        with written_aside(folder) as aside:
            with self.averaged():
                checkpoint.write(self.accelerator.unwrap_model(self.model), self.encoder, aside, probe=self.probe)
            if self.average:
                self.average.save(aside)
            self._save_optimizer_and_scheduler(str(aside))
            self._save_rng_state(str(aside))
            self.state.save_to_json(str(aside / TRAINER_STATE_NAME))
        self._remove_old_checkpoints()

    def _remove_old_checkpoints(self) -> None:
        newest_first = list(reversed(checkpoints(Path(self.args.output_dir))))
        for folder in newest_first[self.keep :]:
            if str(folder) != self.state.best_model_checkpoint:
                shutil.rmtree(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: torch.nn.Module | None = None) -> None:
        """Weights of a checkpoint into the model at hand, strictly and from safetensors alone."""
        folder = Path(resume_from_checkpoint)
        if adapter_folder.is_adapter(folder):
            adapter_folder.check_same_base(folder, self.model.config.reward_base)
            adapter_folder.read_weights(self.model, folder)
            checkpoint.check_probe(self.model, self.encoder, folder)
        else:
            loaded, _ = checkpoint.load(folder)
            self.model.load_state_dict(loaded.state_dict())
        if self.average:
            self.average.load(folder)


class EpochOrder(TrainerCallback):
    """Tells the sampler which epoch it is, also after a resume in the middle of one."""

    def __init__(self, sampler: BatchSampler):
        self.sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs):
        """Runs before the epoch's iterator is made."""
        self.sampler.set_epoch(state.global_step // len(self.sampler))


class StepClock(TrainerCallback):
    """Stops the meter's clock when a step is done, before logging, validation and saving."""

    def __init__(self, meter: Meter):
        self.meter = meter

    def on_step_end(self, args, state, control, **kwargs):
        """Runs after the optimizer."""
        self.meter.end_step()


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first; half-written ones have another name."""
    found = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := CHECKPOINT_NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def trained_steps(folder: Path) -> int:
    """Optimizer steps done in a checkpoint."""
    return json.loads((folder / TRAINER_STATE_NAME).read_text(encoding="utf-8"))["global_step"]

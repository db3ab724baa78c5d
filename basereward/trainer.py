"""A thin Trainer: one optimizer step is one batch of comparisons, however many packs it takes.

What transformers.Trainer keeps doing: optimizer, schedule, clipping, autocast, logging, best-model bookkeeping, resume.
What is ours: the loop over packs with the exact mean over the batch of all ranks, the metrics, and the checkpoints (``saving``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from basereward import ranks
from basereward.averaging import WeightAverage
from basereward.batches import BatchSampler, Dealer, EncodedDataset, Step, ToStep, make_loader
from basereward.callbacks import EpochOrder, StepClock
from basereward.errors import BaseRewardError
from basereward.fitting import StepRunner
from basereward.losses.base import Loss
from basereward.meters import Meter, evaluate_comparisons
from basereward.model import RewardModel
from basereward.records import Comparison
from basereward.saving import WholeCheckpoints
from basereward.scorer import Scorer
from basereward.shares import MixtureOrder
from basereward.speed import Machine
from basereward.workers import pick_workers

OptimizerOf = Callable[[RewardModel], torch.optim.Optimizer]


class RewardTrainer(WholeCheckpoints):
    """Trains a reward model on packs.

    Args:
        model: with what is trained chosen and in its dtype; bf16 compute is a matter of ``args`` (autocast).
        args: made by ``train.training_arguments``; ``per_device_train_batch_size`` is the number of comparisons of a step.
        dataset: encoded comparisons. order: of an epoch over them.
        val: comparisons for validation. probe: comparisons stored with each checkpoint.
        loss: rewards and labels -> one loss per comparison.
        make_optimizer: called with the model when it lies on its device.
        average: decay of the moving average of the weights; none when ``None``.
        to_step: makes the packs of a step. token_budget: of a pack, of training and of validation.
        machine: what a step costs, by which packs are balanced, and what speed is measured against.
        keep: newest checkpoints kept beside the best.
    """

    def __init__(
        self, *, model: RewardModel, args: TrainingArguments, dataset: EncodedDataset, order: MixtureOrder,
        val: Sequence[Comparison], probe: Sequence[Comparison], loss: Loss, make_optimizer: OptimizerOf, average: float | None,
        to_step: ToStep, token_budget: int, machine: Machine, workers: int, keep: int, callbacks: list[TrainerCallback],
    ):  # fmt: skip
        no_data_parallel(args)
        costs = dataset.lengths.costs(machine.sizes, machine.passes)
        deal = Dealer(dataset.lengths.packed, costs, token_budget, rank=ranks.number(), num_ranks=ranks.count())
        self.sampler, self.meter = BatchSampler(order, args.per_device_train_batch_size, deal), Meter(loss, machine)
        super().__init__(model=model, args=args, train_dataset=dataset, eval_dataset=val,
                         callbacks=[EpochOrder(self.sampler), StepClock(self.meter), *callbacks])  # fmt: skip
        self.remove_callback(PrinterCallback)
        self.val, self.probe, self.loss, self.to_step, self.workers, self.keep = val, probe, loss, to_step, workers, keep
        self.make_optimizer = make_optimizer
        self.average = WeightAverage(model, average) if average is not None else None
        if self.average:
            self.add_callback(self.average)
        # What is saved is scored by the model itself, so that loading it compares all of its weights.
        self.encoder = dataset.encoder.without_kept()
        self.unread: list[tuple[int, torch.Tensor, str]] = []  # step, its loss, whose it is
        autocast = torch.bfloat16 if args.bf16 else None
        self.val_scorer = Scorer(model, dataset.encoder, token_budget=token_budget, autocast=autocast)
        self.run_step = StepRunner(
            model, loss, autocast=self.compute_loss_context_manager, backward=self.accelerator.backward, dataset=dataset,
            to_step=to_step, deal=deal,
        )  # fmt: skip

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimizer of the config; the schedule and clipping stay the Trainer's."""
        if self.optimizer is None:
            self.optimizer = self.make_optimizer(self.model)
        return self.optimizer

    def create_accelerator_and_postprocess(self) -> None:
        """No DistributedDataParallel around the model: a step is many backwards, whose gradients are added up once."""
        super().create_accelerator_and_postprocess()
        self.accelerator.prepare_model = partial(self.accelerator.prepare_model, evaluation_mode=True)

    def set_token_budget(self, token_budget: int) -> None:
        """Of the packs from the next epoch or start on, of validation too."""
        self.sampler.deal.token_budget = self.sampler.deal.own_budget = self.val_scorer.token_budget = token_budget

    def get_train_dataloader(self):
        """One ``Step`` per batch; not prepared by accelerate, because packs are dealt by us and moved one at a time."""
        pin = self.args.device.type == "cuda"
        of_a_rank = -(-self.args.per_device_train_batch_size // self.args.world_size)
        workers = pick_workers(self.workers, self.train_dataset, of_a_rank)
        return make_loader(self.train_dataset, self.sampler, self.to_step, workers=workers, pin=pin)

    def get_batch_samples(self, epoch_iterator, num_batches, device):
        """The next step; ``None`` for the item count, because a step carries its own.

        No step after the last one: where a run was killed after its last checkpoint, the stock loop would take one more.
        """
        if self.state.global_step >= self.state.max_steps:
            return [], None
        self.meter.speed.start_step()
        steps = list(islice(epoch_iterator, num_batches))
        self.meter.speed.got_data()
        return steps, None

    def training_step(self, model: torch.nn.Module, inputs: Step, num_items_in_batch=None) -> torch.Tensor:
        """Forward and backward of each pack; their gradients add up to that of the weighted mean over the whole batch."""
        model.train()
        total, seen = self.run_step(inputs)
        for pack, reward_R in seen:
            self.meter.add(pack, reward_R)
        self.unread.append((self.state.global_step + 1, total.clone(), whose(inputs)))
        if total.device.type == "cpu":  # elsewhere reading a loss stops the device: they are read when they are logged
            self.refuse_non_finite()
        return total

    def refuse_non_finite(self) -> None:
        """Reads the losses of the steps since the last call.

        Raises:
            BaseRewardError: one is nan or infinite; with its step and comparisons.
        """
        unread, self.unread = self.unread, []
        losses = torch.stack([loss for _, loss, _ in unread]).tolist() if unread else []
        for loss, (step, _, names) in zip(losses, unread):
            if not math.isfinite(loss):
                raise diverged(step, f"a loss of {loss}", names)

    def refuse_non_finite_weights(self) -> None:
        """Before they are validated or written: a finite loss can have a gradient that is not.

        Raises:
            BaseRewardError: a trained weight is nan or infinite.
        """
        self.refuse_non_finite()
        for name, weight in self.model.named_parameters():
            if weight.requires_grad and not torch.isfinite(weight).all():
                raise diverged(self.state.global_step, f"nan or inf in {name}", "any step since the last checkpoint")

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds what the packs since the last log showed: accuracy, ties, margins, rewards, speed."""
        if "loss" in logs:
            self.refuse_non_finite()
            logs |= self.meter.drain() | self.rates()
        super().log(logs, start_time)

    def rates(self) -> dict[str, float]:
        """The learning rate of each part, where they differ."""
        groups = self.optimizer.param_groups
        differ = len({group["initial_lr"] for group in groups}) > 1
        return {f"learning_rate/{group['part']}": group["lr"] for group in groups} if differ else {}

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """Scores the validation comparisons and logs ``eval_*``."""
        self.refuse_non_finite_weights()
        with self.averaged():
            metrics = evaluate_comparisons(self.val_scorer, self.val, self.loss)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def floating_point_ops(self, inputs: Any) -> int:
        """0: the stock estimate reads ``input_ids`` of a padded batch, which packs do not have."""
        return 0


def no_data_parallel(args: TrainingArguments) -> None:
    """Keeps Trainer from spreading a pack over several devices, which it would do in silence.

    It wraps a model in DataParallel when it sees several GPUs and one process; a pack is one row and cannot be split.
    """
    args._n_gpu = min(args.n_gpu, 1)


def diverged(step: int, found: str, names: str) -> BaseRewardError:
    """The error for training that left the finite numbers."""
    return BaseRewardError(
        f"training: expected finite numbers, found {found} at step {step} ({names}). Nothing was written from there on; earlier "
        "checkpoints are kept. Lower optim.lr or optim.max_grad_norm and start anew in another run.dir, or look at these comparisons."
    )


def whose(step: Step) -> str:
    """The sources and first ids of a step's comparisons."""
    ids = [name for pack in step.packs for name in pack.ids]
    sources = sorted({source for pack in step.packs for source in pack.sources})
    return f"comparisons {', '.join(ids[:4])}{', ...' if len(ids) > 4 else ''} of {', '.join(sources)}"

"""A thin Trainer: one optimizer step is one batch of comparisons, however many packs it takes.

What transformers.Trainer keeps doing: optimizer, schedule, clipping, autocast, logging, best-model bookkeeping, resume.
What is ours: the loop over packs with the exact mean over the batch, the metrics, and checkpoints that are whole or absent.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback, TrainerState
from transformers.trainer_pt_utils import safe_globals

from basereward import adapter_folder, checkpoint
from basereward.averaging import WeightAverage
from basereward.batches import BatchSampler, EncodedDataset, Step, ToStep, make_loader
from basereward.errors import BaseRewardError, CheckpointError, ConfigError
from basereward.losses.base import Loss
from basereward.meters import Meter, evaluate_comparisons
from basereward.model import RewardModel
from basereward.packing import on_device
from basereward.records import Comparison
from basereward.runtime import written_aside
from basereward.scorer import Scorer
from basereward.shares import MixtureOrder

OptimizerOf = Callable[[RewardModel], torch.optim.Optimizer]
CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")
STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
TO_GO_ON = "Remove this checkpoint's folder to go on from the one before, or start anew in another run.dir."


class RewardTrainer(Trainer):
    """Trains a reward model on packs.

    Args:
        model: with what is trained chosen and in its dtype; bf16 compute is a matter of ``args`` (autocast).
        args: made by ``train.training_arguments``; ``per_device_train_batch_size`` is the number of comparisons of a step.
        dataset: encoded comparisons. order: of an epoch over them.
        val: comparisons for validation. probe: comparisons stored with each checkpoint.
        loss: rewards and labels -> one loss per comparison.
        make_optimizer: called with the model when it lies on its device.
        average: decay of the moving average of the weights; none when ``None``.
        to_step: deals a batch into packs. token_budget: of validation packs.
        keep: newest checkpoints kept beside the best.
    """

    def __init__(
        self, *, model: RewardModel, args: TrainingArguments, dataset: EncodedDataset, order: MixtureOrder,
        val: Sequence[Comparison], probe: Sequence[Comparison], loss: Loss, make_optimizer: OptimizerOf, average: float | None,
        to_step: ToStep, workers: int, keep: int, callbacks: list[TrainerCallback],
    ):  # fmt: skip
        one_device(args)
        self.sampler = BatchSampler(order, args.per_device_train_batch_size)
        self.meter = Meter(loss)
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
        """The next step; ``None`` for the item count, because a step carries its own.

        No step after the last one: where a run was killed after its last checkpoint, the stock loop would take one more.
        """
        if self.state.global_step >= self.state.max_steps:
            return [], None
        self.meter.start_step()
        return list(islice(epoch_iterator, num_batches)), None

    def training_step(self, model: torch.nn.Module, inputs: Step, num_items_in_batch=None) -> torch.Tensor:
        """Forward and backward of each pack; their gradients add up to that of the weighted mean over the whole batch."""
        model.train()
        total = torch.zeros((), device=self.args.device)
        for pack in inputs.packs:
            pack = on_device(pack, self.args.device)
            with self.compute_loss_context_manager():
                reward_R = model(pack)
            loss_C = self.loss(reward_R, pack.labels)
            share = (loss_C * pack.labels.weight_C).sum() / inputs.total_weight
            self.accelerator.backward(share)
            total += share.detach()
            self.meter.add(pack, reward_R.detach())
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

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Writes a checkpoint aside and renames it, so that a kill at any moment leaves the previous one as the newest."""
        self.refuse_non_finite_weights()
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

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """As the Trainer does; what does not fit this run is our error."""
        with readable(checkpoint, "optimizer.pt or scheduler.pt"):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """As the Trainer does; what is no state of generators is our error."""
        with readable(checkpoint, "rng_state.pth"):
            super()._load_rng_state(checkpoint)


def one_device(args: TrainingArguments) -> None:
    """Keeps Trainer from spreading a pack over several devices, which it would do in silence.

    Raises:
        ConfigError: the run was started as one of several processes.
    """
    if args.world_size > 1:
        raise ConfigError(
            f"expected one process, found {args.world_size} (WORLD_SIZE): training on several is not here yet, and each would train "
            "the whole batch on its own. Start it without torchrun or accelerate launch."
        )
    # Trainer wraps a model in DataParallel when it sees several GPUs and one process; a pack is one row and cannot be split.
    args._n_gpu = min(args.n_gpu, 1)


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
    """Optimizer steps done in a checkpoint.

    Raises:
        CheckpointError: its trainer state cannot be read.
    """
    with readable(folder, TRAINER_STATE_NAME):
        return int(TrainerState.load_from_json(str(folder / TRAINER_STATE_NAME)).global_step)


def check_resumable(folder: Path) -> None:
    """Refuses a checkpoint that cannot be continued exactly.

    Raises:
        CheckpointError: a file with the state of the training is missing or cut off.
    """
    for name in (TRAINER_STATE_NAME, *STATES):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name}: expected the state of the training, found no such file. {TO_GO_ON}")
    trained_steps(folder)
    for name in STATES:
        with readable(folder, name), safe_globals():
            torch.load(folder / name, map_location="cpu", weights_only=True, mmap=True)


@contextmanager
def readable(folder: str | Path | None, name: str) -> Iterator[None]:
    """Turns what reading a broken file of a checkpoint raises into a ``CheckpointError`` that names it."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise CheckpointError(
            f"{folder}/{name}: expected the state of the training, found what cannot be read ({type(error).__name__}: {reason}). "
            f"{TO_GO_ON}"
        ) from error


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

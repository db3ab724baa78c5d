"""What happens between steps: the epoch's order, the clock, and what a run tells: a progress bar, metrics.jsonl, TensorBoard."""

from __future__ import annotations

import logging
from pathlib import Path

from tqdm.auto import tqdm
from transformers import TrainerCallback

from basereward.batches import BatchSampler
from basereward.meters import Meter
from basereward.runtime import append_jsonl

logger = logging.getLogger(__name__)


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
        self.meter.speed.end_step()


class Paused(Exception):
    """Training stopped after a checkpoint, as it was asked to."""


class PauseAt(TrainerCallback):
    """Ends training behind a checkpoint, as a kill would: what goes on from there cannot tell that it was interrupted."""

    def __init__(self, step: int):
        self.step = step

    def on_save(self, args, state, control, **kwargs):
        """Runs when the checkpoint is whole."""
        if self.step <= state.global_step < state.max_steps:
            raise Paused


class Progress(TrainerCallback):
    """One bar over the steps with loss and accuracy; validations are printed as lines of their own."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        """Opens the bar where the run stands."""
        self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc="training", unit="step", dynamic_ncols=True,
                        mininterval=1.0)  # fmt: skip

    def on_step_end(self, args, state, control, **kwargs):
        """Moves the bar."""
        self.bar.update(1)

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Shows the newest numbers."""
        if "loss" in logs:
            accuracy = f"accuracy {logs['accuracy']:.3f}, " if "accuracy" in logs else ""  # none among tied responses alone
            self.bar.set_postfix_str(f"loss {logs['loss']:.4f}, {accuracy}{speed_line(logs)}", refresh=False)
        if "eval_loss" in logs:
            tqdm.write(f"step {state.global_step:>6}: validation loss {logs['eval_loss']:.4f}, accuracy "
                       f"{logs['eval_accuracy']:.4f}, ties {logs['eval_ties']:.4f}, margin {logs['eval_margin']:.3f}")  # fmt: skip

    def close(self) -> None:
        """Ends the bar's line, also when training stops with an error, whose message would be printed on it."""
        if self.bar is not None:
            self.bar.close()

    def on_train_end(self, args, state, control, **kwargs):
        """Closes the bar."""
        self.close()


def speed_line(logs: dict[str, float]) -> str:
    """Speed, waiting and memory as a few words.

    >>> speed_line({"comparisons_per_second": 4.21, "tokens_per_second": 2345.6, "mfu": 0.512, "data_wait": 0.0123,
    ...             "peak_memory_gib": 3.21})
    '4.21 cmp/s, 2,346 tok/s, MFU 51%, waiting 1%, 3.2 GiB'
    >>> speed_line({"comparisons_per_second": 1030.4, "tokens_per_second": 0, "mfu": 0, "data_wait": 0.7, "peak_memory_gib": 1})
    '1,030 cmp/s, 0 tok/s, MFU 0%, waiting 70%, 1.0 GiB'
    """
    rate = logs["comparisons_per_second"]
    return (
        f"{rate:{'.3g' if rate < 1000 else ',.0f'}} cmp/s, {logs['tokens_per_second']:,.0f} tok/s, MFU {logs['mfu']:.0%}, "
        f"waiting {logs['data_wait']:.0%}, {logs['peak_memory_gib']:.1f} GiB"
    )


class MetricsFile(TrainerCallback):
    """Every logged number, one JSON line per log, in ``metrics.jsonl``."""

    def __init__(self, file: Path):
        self.file = file

    def on_log(self, args, state, control, logs=None, **kwargs):
        """Appends a line."""
        append_jsonl(self.file, {"step": state.global_step, **logs})


def tensorboard(folder: Path) -> TrainerCallback | None:
    """A callback that writes event files, or ``None`` with one log line where TensorBoard is absent."""
    try:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback
    except ImportError:
        logger.info("TensorBoard is not installed: no event files; metrics.jsonl has the same numbers")
        return None
    return TensorBoardCallback(SummaryWriter(str(folder)))

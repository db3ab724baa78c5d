"""What a training run tells while it runs: a progress bar, metrics.jsonl, TensorBoard."""

from __future__ import annotations

import logging
from pathlib import Path

from tqdm.auto import tqdm
from transformers import TrainerCallback

from basereward.runtime import append_jsonl

logger = logging.getLogger(__name__)


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
            self.bar.set_postfix_str(
                f"loss {logs['loss']:.4f}, {accuracy}{logs['comparisons_per_second']:.0f} cmp/s", refresh=False
            )
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

"""The state of a training run in a checkpoint folder: which checkpoints are whole, and whether one can be continued."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

import torch
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_pt_utils import safe_globals

from basereward.errors import CheckpointError

CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")
RNG_STATE = "rng_state.pth"
STATES = ("optimizer.pt", "scheduler.pt", RNG_STATE)
TO_GO_ON = "Remove this checkpoint's folder to go on from the one before, or start anew in another run.dir."


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

"""Checkpoints that are whole or absent: what a Trainer writes and how it goes on from there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME

from basereward import adapter_folder, checkpoint, ranks
from basereward.averaging import WeightAverage
from basereward.encode import Encoder
from basereward.records import Comparison
from basereward.runtime import written_aside
from basereward.training_state import RNG_STATE, checkpoints, readable


class WholeCheckpoints(Trainer):
    """A Trainer whose checkpoints are folders of a reward model, complete in themselves.

    Attributes:
        encoder: saved with the model. probe: comparisons stored with each checkpoint. keep: newest ones kept beside the best.
        average: of the weights, where one is kept.
    """

    encoder: Encoder
    probe: Sequence[Comparison]
    keep: int
    average: WeightAverage | None

    def averaged(self) -> AbstractContextManager:
        """The model has the averaged weights while this lasts, where an average is kept."""
        return self.average.in_place() if self.average else nullcontext()

    def refuse_non_finite_weights(self) -> None:
        """Called before weights are written."""
        raise NotImplementedError

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Writes a checkpoint aside and renames it, so that a kill at any moment leaves the previous one as the newest.

        Rank 0 writes; of the others it has the state of their generators, in files of their own.
        """
        self.refuse_non_finite_weights()
        generators = ranks.gather(self._generators())
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.state.best_global_step == self.state.global_step:
            self.state.best_model_checkpoint = str(folder)
        if ranks.is_main():
            self._write(folder, generators)
        ranks.wait()

    def _write(self, folder: Path, generators: list[dict[str, bytes]]) -> None:
        with written_aside(folder) as aside:
            with self.averaged():
                checkpoint.write(self.accelerator.unwrap_model(self.model), self.encoder, aside, probe=self.probe)
            if self.average:
                self.average.save(aside)
            self._save_optimizer_and_scheduler(str(aside))
            for files in generators:
                for name, data in files.items():
                    (aside / name).write_bytes(data)
            self.state.save_to_json(str(aside / TRAINER_STATE_NAME))
        self._remove_old_checkpoints()

    def _generators(self) -> dict[str, bytes]:
        """The file that Trainer keeps the states of this rank's random generators in; that of rank 0 is what one process reads."""
        with tempfile.TemporaryDirectory() as folder:
            self._save_rng_state(folder)
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        return files | ({RNG_STATE: next(iter(files.values()))} if ranks.is_main() else {})

    def _remove_old_checkpoints(self) -> None:
        newest_first = list(reversed(checkpoints(Path(self.args.output_dir))))
        for folder in newest_first[self.keep :]:
            if str(folder) != self.state.best_model_checkpoint:
                shutil.rmtree(folder)

    def _load_callback_state(self) -> None:
        """Called with the stored state: its best checkpoint is one of this run, which may lie elsewhere than when it was written."""
        best = Path(self.args.output_dir) / f"checkpoint-{self.state.best_global_step}"
        self.state.best_model_checkpoint = str(best) if best.is_dir() else None
        super()._load_callback_state()

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

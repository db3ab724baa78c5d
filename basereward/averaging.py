"""An exponential moving average of the trained weights, which is validated and saved in place of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import TrainerCallback

from basereward.errors import CheckpointError
from basereward.model import RewardModel

FILE = "averaging.safetensors"


class WeightAverage(TrainerCallback):
    """Keeps a float32 average beside every trained weight and moves it after each optimizer step.

    average <- d average + (1 - d) weight,  d = min(decay, (1 + n) / (10 + n)) after n updates, so that the random start is forgotten
    within some tens of steps whatever the decay.

    Args:
        decay: from 0 to below 1; 1 / (1 - decay) steps are averaged.
    """

    def __init__(self, model: RewardModel, decay: float):
        self.decay, self.updates = decay, 0
        self.weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.averages = {name: p.detach().float().clone() for name, p in self.weights.items()}

    @torch.no_grad()
    def on_step_end(self, args, state, control, **kwargs):
        """Runs after the optimizer, before validation and saving."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, weight in self.weights.items():
            self.averages[name].lerp_(weight.float(), 1 - decay)
        self.updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averages as its weights while this lasts."""
        raw = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self._put(self.averages)
        try:
            yield
        finally:
            self._put(raw)

    @torch.no_grad()
    def _put(self, values: dict[str, torch.Tensor]) -> None:
        for name, weight in self.weights.items():
            weight.copy_(values[name])

    def save(self, folder: Path) -> None:
        """Writes the weights as trained, which a checkpoint does not hold otherwise, and the float32 averages."""
        tensors = {f"weight/{name}": weight.detach() for name, weight in self.weights.items()}
        tensors |= {f"average/{name}": average for name, average in self.averages.items()}
        save_file(
            {name: t.cpu().contiguous() for name, t in tensors.items()}, folder / FILE, metadata={"updates": str(self.updates)}
        )

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Puts the weights as trained into the model and goes on with the averages."""
        if not (folder / FILE).is_file():
            raise CheckpointError(
                f"{folder}: expected {FILE}, the weights behind the average, found none; it cannot be continued"
            )
        with safe_open(folder / FILE, "pt") as file:
            self.updates = int(file.metadata()["updates"])
            for name, weight in self.weights.items():
                weight.copy_(file.get_tensor(f"weight/{name}"))
                self.averages[name].copy_(file.get_tensor(f"average/{name}"))

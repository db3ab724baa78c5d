"""Settings of a run -> bytes on disk: checkpoints as they are kept, and features that a frozen model leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from basereward.adapters import has_lora
from basereward.costs.work import Mean, Operations
from basereward.frozen.rounding import bytes_per_row
from basereward.keeping import check_vision, compute_dtype, feature_widths
from basereward.memory import memory_bytes
from basereward.model import RewardModel
from basereward.settings import TrainSettings

NOT_STORED = ("gradients", "bfloat16 copies in a step")


@dataclass(frozen=True)
class Disk:
    """Bytes.

    Attributes:
        checkpoint: one with its moments. checkpoints: those that stay beside one another, the best and the newest.
        final: the model at the end. cache: kept features; shared by runs on the same rows with the same frozen model.
    """

    checkpoint: float
    checkpoints: float
    final: float
    cache: float

    @property
    def run(self) -> float:
        """What a finished run leaves in its folder."""
        return self.checkpoints + self.final


def disk_of(settings: TrainSettings, model: RewardModel, work: Operations, mean: Mean, epoch: int) -> Disk:
    """What a run writes; a new checkpoint is written before an old one goes, so that one more is needed for a while."""
    by_kind = memory_bytes(model, settings.optim)
    stored = {kind: size for kind, size in by_kind.items() if kind not in NOT_STORED}
    if has_lora(model):  # the base stays where it is
        stored.pop("frozen weights", None)
    weights = stored.get("trained weights", 0.0) + stored.get("frozen weights", 0.0)
    checkpoint = sum(stored.values())
    saved = math.ceil(work.steps / settings.run.eval_every)
    distinct = min(work.comparisons, epoch)
    cache = min(_bytes_each(settings, model, mean) * distinct, (settings.cache.max_gib or math.inf) * 2**30)
    return Disk(checkpoint, min(saved, settings.run.keep + 1) * checkpoint, weights, cache)


def _bytes_each(settings: TrainSettings, model: RewardModel, mean: Mean) -> float:
    """Of kept features, for each comparison."""
    total = 0.0
    if settings.cache.vision:
        before_merger = check_vision(model)
        compute = compute_dtype(model, torch.bfloat16 if settings.optim.precision != "float32" else None)
        dtype = settings.cache.dtype or str(compute).removeprefix("torch.")
        total += bytes_per_row(feature_widths(model, before_merger=before_merger), dtype) * mean.image_tokens
    if settings.cache.hidden:
        total += 4 * model.config.get_text_config().hidden_size * mean.responses
    return total

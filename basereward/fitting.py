"""The packs of a step, forward and backward; where memory does not suffice, the same comparisons in smaller packs."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from basereward import ranks
from basereward.batches import Dealer, EncodedDataset, Step, ToStep
from basereward.errors import BaseRewardError
from basereward.losses.base import Loss
from basereward.model import RewardModel
from basereward.packing import Pack, on_device

logger = logging.getLogger(__name__)

Seen = list[tuple[Pack, torch.Tensor]]
"""Packs, with the (R,) rewards of each."""


class StepRunner:
    """Computes the gradients of a step.

    Args:
        model: whose gradients are added up. loss: rewards and labels -> one loss per comparison.
        autocast: makes the context of a forward pass. backward: of a scalar.
        dataset, to_step, deal: to make smaller packs of the same comparisons.
    """

    def __init__(
        self, model: RewardModel, loss: Loss, *, autocast: Callable[[], AbstractContextManager],
        backward: Callable[[torch.Tensor], None], dataset: EncodedDataset, to_step: ToStep, deal: Dealer,
    ):  # fmt: skip
        self.model, self.loss, self.autocast, self.backward = model, loss, autocast, backward
        self.dataset, self.to_step, self.deal = dataset, to_step, deal

    def __call__(self, step: Step) -> tuple[torch.Tensor, Seen]:
        """The step's loss, which is the mean over the comparisons of all ranks, and what was computed on this one.

        Afterwards every rank has the gradient of that mean. After an out-of-memory error nothing of the step is kept: gradients may
        have been added half-way through a backward. It is computed anew, and later steps in smaller packs from the start.

        Raises:
            BaseRewardError: a single comparison does not fit into memory.
        """
        total_weight = ranks.add_up(torch.tensor(step.total_weight, dtype=torch.float64)).item()
        step = self._within_budget(step)
        while (done := self.compute(step, total_weight)) is None:
            step = self._within_budget(step)
        total, seen = done
        ranks.add_up_gradients(list(self.model.parameters()))
        return ranks.add_up(total), seen

    def compute(self, step: Step, total_weight: float) -> tuple[torch.Tensor, Seen] | None:
        """This rank's part of the loss and its gradients.

        ``None`` when memory ran out: the budget is lower then, and all that was computed is forgotten.
        """
        total, seen = torch.zeros((), device=self.model.device), []
        for pack in step.packs:
            done, message = self._attempt(pack, total_weight)
            if done is None:
                seen.clear()
                self._halve(pack, message)
                return None
            total += done[0]
            seen.append((pack, done[1]))
        return total, seen

    def _attempt(self, pack: Pack, total_weight: float) -> tuple[tuple[torch.Tensor, torch.Tensor] | None, str]:
        """A pack's loss and rewards, or the message; the error itself, which keeps the frames and their activations, ends here."""
        try:
            return self._pack(pack, total_weight), ""
        except torch.OutOfMemoryError as error:
            return None, str(error).partition("\n")[0]

    def _pack(self, pack: Pack, total_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
        pack = on_device(pack, self.model.device)
        with self.autocast():
            reward_R = self.model(pack)
        loss_C = self.loss(reward_R, pack.labels)
        share = (loss_C * pack.labels.weight_C).sum() / total_weight
        self.backward(share)
        return share.detach(), reward_R.detach()

    def _halve(self, pack: Pack, message: str) -> None:
        self.model.zero_grad(set_to_none=True)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(pack.ids) == 1 or not pack.num_tokens:
            raise BaseRewardError(
                f"training: expected memory for {pack.ids[0]} of {pack.sources[0]} ({pack.num_tokens} tokens), found too little, and "
                f"one comparison is not divided ({message}). Lower batch.max_length or backbone.max_pixels, or set "
                "backbone.gradient_checkpointing=true, parts=frozen_vision or parts=lora"
            )
        self.deal.own_budget = min(self.deal.own_budget, pack.num_tokens) // 2
        logger.warning(
            "out of memory with a pack of %d tokens: packs of at most %d from here on; the batch and the result stay as they are "
            "(batch.token_budget=%d starts so)", pack.num_tokens, self.deal.own_budget, self.deal.own_budget
        )  # fmt: skip

    def _within_budget(self, step: Step) -> Step:
        """The step itself, or one in smaller packs, whose comparisons are read again."""
        plan = self.deal.within_own(step.plan)
        return step if plan is step.plan else self.to_step(self.dataset.__getitems__(plan))

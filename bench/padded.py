"""The usual way, as the opponent: stock transformers, one right-padded row for each response, the image encoded for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from basereward.encode import Encoded
from basereward.losses.bradley_terry import BradleyTerry
from basereward.losses.labels import Labels
from basereward.patches import to_pixel_values
from bench.inputs import SETTINGS


@dataclass
class Rows:
    """A micro-batch: the stock model's arguments, where each row ends, its labels."""

    inputs: dict[str, torch.Tensor]
    last: torch.Tensor
    labels: Labels


def pad(items: Sequence[Encoded], image_id: int, device: torch.device, dtype: torch.dtype) -> Rows:
    """Comparisons -> padded rows, ready on the device, so that only the model is timed."""
    rows = [torch.tensor([*item.prefix_ids, *ids]) for item in items for ids in item.response_ids]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    mean, std = torch.tensor(SETTINGS.mean), torch.tensor(SETTINGS.std)
    pixels = [to_pixel_values(torch.from_numpy(p), mean, std, frames=SETTINGS.frames) for item in items for p in item.patches]
    repeats = [item.num_responses for item in items]
    inputs = {
        "input_ids": ids, "attention_mask": mask, "mm_token_type_ids": (ids == image_id).int(),
        "pixel_values": torch.cat([p for p, n in zip(pixels, repeats) for _ in range(n)]).to(dtype),
        "image_grid_thw": torch.tensor([item.grids[0] for item, n in zip(items, repeats) for _ in range(n)]),
    }  # fmt: skip
    return Rows({key: x.to(device) for key, x in inputs.items()}, (lengths - 1).to(device), Labels.of(items).to(device))


def step(model: nn.Module, score: nn.Module, batches: Sequence[Rows]) -> torch.Tensor:
    """Forward and backward of every micro-batch; (R,) rewards."""
    rewards = []
    for batch in batches:
        hidden = model(**batch.inputs, use_cache=False).last_hidden_state
        reward_R = score(hidden[torch.arange(len(batch.last), device=batch.last.device), batch.last])
        BradleyTerry()(reward_R, batch.labels).sum().backward()
        rewards.append(reward_R.detach())
    return torch.cat(rewards)

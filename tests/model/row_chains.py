"""Rewards of one comparison that takes several rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from basereward.encode import Encoded, Encoder
from basereward.model import RewardModel
from basereward.packing import collate
from basereward.prefix_keys import PrefixKeys


def rewards(model: RewardModel, encoder: Encoder, rows: Sequence[Encoded]) -> torch.Tensor:
    """(R,) of all rows, the prefix computed by the first."""
    past = PrefixKeys()
    return torch.cat([model(collate([row], encoder.patch_settings), past) for row in rows])

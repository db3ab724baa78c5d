"""Which backend computes: the one that was named, or the first that can; said once, with the reason."""

from __future__ import annotations

import logging
from functools import lru_cache

import torch

from basereward.attention.base import Backend, Use
from basereward.attention.flash_attn import FlashAttn
from basereward.attention.sdpa import SDPA
from basereward.attention.varlen import Varlen
from basereward.errors import ConfigError, MissingDependency

AUTO = "auto"
# In the order in which ``auto`` takes them; the last can always be used.
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in (FlashAttn(), Varlen(), SDPA())}
CHOICES = (AUTO, *BACKENDS)
# Rooms of a GPU's memory and models differ; a process sees few combinations of them.
KEPT = 64

logger = logging.getLogger(__name__)


def check_here(choice: str, device: torch.device) -> None:
    """Refuses a backend that was named and cannot be used on this machine, whatever the model.

    Raises:
        MissingDependency: it needs another device, or a library; with the reason.
    """
    if choice != AUTO:
        reason = BACKENDS[choice].refuses(Use(device, torch.bfloat16, head=64, dropout=False))
        if reason:
            raise MissingDependency(f"compute.attention: {choice} {reason}; use compute.attention=auto")


def pick(choice: str, query: torch.Tensor, dropout: float) -> Backend:
    """The backend for (1, H, S, D) queries.

    Raises:
        ConfigError: the one that was named cannot be used for them.
    """
    kind = query.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype
    return _pick(choice, Use(query.device, dtype, query.shape[-1], dropout > 0))


@lru_cache(maxsize=KEPT)
def _pick(choice: str, use: Use) -> Backend:
    if choice != AUTO:
        if reason := BACKENDS[choice].refuses(use):
            raise ConfigError(f"compute.attention: {choice} {reason}; use compute.attention=auto")
        reason = f"compute.attention={choice}"
    else:
        reasons = {name: backend.refuses(use) for name, backend in BACKENDS.items()}
        choice = next(name for name, reason in reasons.items() if reason is None)
        before = [f"{name} {reason}" for name, reason in reasons.items() if reason is not None]
        reason = "; ".join(before) or "the first choice"
    _say(choice, use.device.type, str(use.dtype).removeprefix("torch."), reason)
    return BACKENDS[choice]


@lru_cache(maxsize=KEPT)
def _say(name: str, device: str, dtype: str, reason: str) -> None:
    """Once, also where the tower's heads and the language model's differ in width."""
    logger.info("attention of %s on %s: %s (%s)", dtype, device, name, reason)

"""What a run trains and with what: refused where it cannot work, told before the first step, and made."""

from __future__ import annotations

import torch

from basereward.adapters import four_bits
from basereward.attention.choose import AUTO, check_here
from basereward.attention.sdpa import SDPA
from basereward.config import build, locate
from basereward.errors import ConfigError
from basereward.keeping import cache_plan
from basereward.kernels import check_kernels
from basereward.memory import memory_table, model_without_weights
from basereward.model import RewardModel
from basereward.parts import frozen_dtype, param_groups, table, trained_dtype
from basereward.runtime import pick_device
from basereward.settings import TrainSettings


def weights_plan(settings: TrainSettings) -> list[str]:
    """What is trained and what that costs, as far as it can be known without weights."""
    model = model_without_weights(settings)
    if model is None:
        return [f"what is trained: known when the config of {settings.init_from or settings.backbone.path} is here; it is not\n"]
    param_groups(model, settings.parts, settings.optim)  # refuses rates that nothing would use
    return [describe(settings, model), "", *cache_plan(settings, model)]


def describe(settings: TrainSettings, model: RewardModel) -> str:
    """Two tables: what is trained in which dtype at which rate, and the memory of weights and optimizer."""
    return f"{table(model, settings.parts, settings.optim)}\n\n{memory_table(model, settings.optim)}"


def check_parts(settings: TrainSettings) -> None:
    """Refuses keys of ``parts`` that do not go together."""
    parts = settings.parts
    if parts.frozen_dtype not in (None, "float32", "bfloat16"):
        raise ConfigError(f"parts.frozen_dtype: expected null, float32 or bfloat16, found {parts.frozen_dtype!r}")
    if parts.frozen_dtype == "bfloat16" and settings.optim.precision == "float32":
        raise ConfigError("parts.frozen_dtype: bfloat16 weights need bfloat16 compute: add optim.precision=bf16")
    if parts.quantize is not None:
        for wrong, advice in ((parts.lora is None, "parts.lora: a base in 4 bits is trained through adapters; use parts=qlora"),
                              (settings.optim.precision != "bf16", "optim.precision: a base in 4 bits computes in bfloat16; add "
                               "optim.precision=bf16"),
                              (settings.init_from is not None, "init_from: a reward model cannot be put into 4 bits; use parts=lora, "
                               "or start from the backbone")):  # fmt: skip
            if wrong:
                raise ConfigError(advice)


def check_precision(settings: TrainSettings) -> None:
    """Refuses an optimizer whose weights are not those of the precision, plain AdamW on bfloat16 weights first of all, and kernels
    for bfloat16 where float32 is computed.
    """
    optim, attention = settings.optim, settings.compute.attention
    if optim.precision == "float32" and attention not in (AUTO, SDPA.name):
        raise ConfigError(
            f"compute.attention: {attention} computes in bfloat16; add optim.precision=bf16, or use compute.attention=auto"
        )
    weights = getattr(locate(optim.algorithm.get("_target_", ""), "optim.algorithm"), "weight_dtype", None)
    if weights is None:
        raise ConfigError(f"optim.algorithm._target_: expected an optimizer of basereward.optimizers, found {optim.algorithm}")
    if trained_dtype(optim) == torch.bfloat16 != weights:
        raise ConfigError(
            "optim.precision: plain AdamW on bfloat16 weights is refused. A weight of 0.02 has a spacing of 1e-4 in bfloat16, a step "
            "at a rate of 3e-6 is rounded away: after 100 steps some 4% of the weights have moved at all (docs/training.md). Use "
            "optim=adamw_stochastic or optim=adamw_kahan, or precision bf16 (float32 weights)"
        )
    if weights == torch.bfloat16 != trained_dtype(optim):
        raise ConfigError(f"optim.precision: this optimizer is for bfloat16 weights, found {optim.precision}; "
                          "use optim.precision=bf16_weights, or optim=adamw")  # fmt: skip


def check_libraries(settings: TrainSettings) -> None:
    """Refuses what this machine cannot run, before the data are read.

    Raises:
        MissingDependency: a library or device that the optimizer, the 4-bit base, or a way of computing needs.
    """
    four_bits(settings.parts.quantize)
    device = pick_device(settings.run.device)
    check_here(settings.compute.attention, device)
    check_kernels(settings.compute.liger, settings.compute.compile, device)
    make_optimizer(settings, [{"params": [torch.nn.Parameter(torch.zeros(1))]}])


def make_optimizer(settings: TrainSettings, groups: list[dict]) -> torch.optim.Optimizer:
    """The optimizer of the config over groups of weights."""
    optim = settings.optim
    return build(optim.algorithm, key="optim.algorithm", params=groups, lr=optim.lr, betas=(optim.beta1, optim.beta2))


def stored_dtype(settings: TrainSettings) -> torch.dtype:
    """In which the best checkpoint is read again to become ``final/``: the one its trained weights, or its base, had."""
    return frozen_dtype(settings.parts, settings.optim) if settings.parts.lora else trained_dtype(settings.optim)

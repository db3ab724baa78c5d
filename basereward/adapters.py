"""LoRA inside a backbone: put there by glob, trained, and folded into the weights; and a base in 4 bits under it (QLoRA).

The layers of peft are put into the backbone in place, not around it: the modules keep their names, packed attention stays switched
on, and the head, which is outside the backbone, cannot be wrapped.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer

from basereward.errors import CheckpointError, ConfigError, MissingDependency, missing_extra
from basereward.model import RewardModel
from basereward.parts import ADAPTER, frozen_dtype, part_of, select, train_only, trained_dtype
from basereward.settings import LoraSettings, OptimSettings, PartsSettings

NAME = "default"
"""Of the adapter, as peft calls the only one."""
NF4 = "nf4"
# Modules that stay in their own dtype: pictures are read by them, and they are a twelfth of a 7B.
NEVER_QUANTISED = ["visual", "vision_tower", "multi_modal_projector"]


def choose_parts(model: RewardModel, parts: PartsSettings, optim: OptimSettings) -> None:
    """Trains what the config names and freezes the rest, with adapters where it asks for them, each in its dtype.

    Raises:
        ConfigError: an entry that matches nothing, weights that cannot be trained, or keys that do not go together.
    """
    parameters = dict(model.named_parameters())
    names = select(parts.train, parameters, key="parts.train")
    packed = sorted(name for name in names if not parameters[name].is_floating_point())
    if packed:
        raise ConfigError(f"parts.train: {packed[0]} is in 4 bits (parts.quantize={parts.quantize}) and cannot be trained")
    if parts.lora is not None:
        add_lora(model, parts.lora, names)
    train_only(model, names, trained=trained_dtype(optim), frozen=frozen_dtype(parts, optim))


def linear_names(model: RewardModel) -> list[str]:
    """Names of the backbone's linear layers."""
    found = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    return [name for name in found if part_of(f"{name}.weight") != "head"]


def add_lora(model: RewardModel, lora: LoraSettings, trained: set[str]) -> None:
    """Puts an adapter beside every linear layer that ``lora.modules`` names.

    Args:
        trained: names of weights that are trained in full; they and an adapter on them would be one thing twice.

    Raises:
        ConfigError: an entry that names no linear layer, or a layer that is trained in full too.
    """
    if lora.rank < 1:
        raise ConfigError(f"parts.lora.rank: expected a whole number of at least 1, found {lora.rank}")
    if not 0 <= lora.dropout < 1:
        raise ConfigError(f"parts.lora.dropout: expected a value from 0 to below 1, found {lora.dropout}; 0 turns it off")
    if not lora.modules:
        raise ConfigError("parts.lora.modules: expected at least one part or glob, found none; parts=head_only trains no adapter")
    chosen = select(lora.modules, linear_names(model), key="parts.lora.modules")
    twice = sorted(name for name in trained if name.rpartition(".")[0] in chosen)
    if twice:
        raise ConfigError(f"parts: {twice[0]} is named by parts.train and by parts.lora.modules; choose one for it")
    targets = sorted(name.removeprefix("model.") for name in chosen)
    inject(model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets))


def inject(model: RewardModel, config: LoraConfig) -> None:
    """Peft's layers into the backbone, in place."""
    inject_adapter_in_model(config, model.model, NAME)


def has_lora(model: torch.nn.Module) -> bool:
    """Whether a model holds adapters that are not merged."""
    return any(isinstance(module, BaseTunerLayer) for module in model.modules())


def adapter_weights(model: RewardModel) -> dict[str, torch.nn.Parameter]:
    """The adapters' weights, named as peft names them in ``adapter_model.safetensors``."""
    named = model.model.named_parameters()
    return {f"base_model.model.{name.replace(f'.{NAME}.', '.')}": parameter for name, parameter in named if ADAPTER in name}


def trained_weights(model: RewardModel) -> dict[str, torch.nn.Parameter]:
    """The head's weights, an output bias that is kept as it is among them, and those of ``parts.train``."""
    named = model.named_parameters()
    return {name: p for name, p in named if part_of(name) == "head" or (p.requires_grad and ADAPTER not in name)}


@torch.no_grad()
def merge(model: RewardModel) -> RewardModel:
    """Adds every adapter's product to the weight beside it, in float32, and takes the adapters out; the model itself."""
    for name, module in list(model.model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            base = module.get_base_layer()
            # Of the two, the weight decides the dtype in which peft would add.
            weight = dequantised(base).float() + module.get_delta_weight(NAME).float()
            parent, _, child = name.rpartition(".")
            setattr(model.model.get_submodule(parent), child, plain_linear(base, weight))
    for attribute in ("peft_config", "_hf_peft_config_loaded"):
        if attribute in vars(model.model):
            delattr(model.model, attribute)
    model.config.__dict__.pop("reward_base", None)
    model.config.__dict__.pop("quantization_config", None)
    return model


def plain_linear(base: torch.nn.Linear, weight: torch.Tensor) -> torch.nn.Linear:
    """A linear layer with another weight: ``base`` itself, or, where that is in 4 bits, a new one."""
    if type(base) is not torch.nn.Linear:
        base = torch.nn.Linear(base.in_features, base.out_features, bias=base.bias is not None).to(weight.device)
    base.weight = torch.nn.Parameter(weight.to(base.weight.dtype), requires_grad=False)
    return base


def dequantised(layer: torch.nn.Linear) -> torch.Tensor:
    """A layer's weight; one in 4 bits is unpacked."""
    state = getattr(layer.weight, "quant_state", None)
    if state is None:
        return layer.weight
    import bitsandbytes

    return bitsandbytes.functional.dequantize_4bit(layer.weight.data, state)


def four_bits(kind: str | None, *, key: str = "parts.quantize") -> dict[str, Any]:
    """Options of ``load_backbone`` for a base in 4 bits (NF4, doubly quantised, computed in bfloat16); none for ``None``.

    Raises:
        ConfigError: another kind. MissingDependency: no bitsandbytes, or no CUDA device.
    """
    if kind is None:
        return {}
    if kind != NF4:
        raise ConfigError(f"{key}: expected null or {NF4}, found {kind!r}")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise missing_extra("bitsandbytes", "qlora", "a base in 4 bits (QLoRA)")
    if not torch.cuda.is_available():
        raise MissingDependency(
            f"{key}: a base in 4 bits needs a CUDA device, and torch sees none here; parts=lora runs anywhere"
        )
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=NF4, bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=NEVER_QUANTISED,
    )  # fmt: skip
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}


def read_into(model: RewardModel, tensors: dict[str, torch.Tensor], expected: dict[str, torch.nn.Parameter], where: str) -> None:
    """Copies tensors into the parameters of the same names.

    Raises:
        CheckpointError: names or shapes that do not fit.
    """
    problems = {
        "missing": sorted(expected.keys() - tensors.keys()), "unexpected": sorted(tensors.keys() - expected.keys()),
        "of another shape": sorted(n for n in expected.keys() & tensors.keys() if expected[n].shape != tensors[n].shape),
    }  # fmt: skip
    if any(problems.values()):
        listing = "; ".join(f"{kind}: {_some(names)}" for kind, names in problems.items() if names)
        raise CheckpointError(f"{where}: the weights do not fit the model that the folder describes ({listing}). A head or adapter "
                              "is never made up: use the folder as it was saved")  # fmt: skip
    with torch.no_grad():
        for name, parameter in expected.items():
            parameter.copy_(tensors[name])


def _some(names: Sequence[str]) -> str:
    return f"{list(names[:3])} ({len(names)})"

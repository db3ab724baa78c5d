"""Which weights are trained: by part or by glob over their names, with a rate for each part and a table of what came out.

The head (``score.*`` and ``pooling.*``) is always trained, always float32, and never named by a glob.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from basereward.errors import ConfigError, near_matches
from basereward.flops import Passes, training_passes
from basereward.model import RewardModel
from basereward.settings import OptimSettings, PartsSettings

# A name belongs to the first part with a matching glob. The names are those of transformers' families: Qwen-VL, InternVL, text.
PARTS = {
    "head": ("score.*", "pooling.*"),
    "merger": ("model.visual.merger*", "model.visual.deepstack_merger*", "model.multi_modal_projector.*"),
    "vision": ("model.visual.*", "model.vision_tower.*"),
    "language_model": ("model.*",),
}
BACKBONE_PARTS = tuple(part for part in PARTS if part != "head")
ADAPTER = ".lora_"


def part_of(name: str) -> str:
    """The part that a parameter or module of a reward model belongs to.

    >>> [part_of(n) for n in ("score.weight", "model.visual.merger.mlp.0.bias", "model.visual.blocks.0.norm1", "model.norm")]
    ['head', 'merger', 'vision', 'language_model']
    """
    return next(part for part, globs in PARTS.items() if any(fnmatch.fnmatchcase(name, glob) for glob in globs))


def select(entries: Sequence[str], names: Iterable[str], *, key: str) -> set[str]:
    """The names of the backbone that entries mean: a part (``vision``) or a glob (``model.*.layers.2.*``; ``*`` crosses dots).

    Raises:
        ConfigError: an entry that means nothing, with near matches or some names that exist.
    """
    names = [name for name in names if part_of(name) != "head"]
    present = {part_of(name) for name in names}
    found: set[str] = set()
    for entry in entries:
        is_part = entry in BACKBONE_PARTS
        matches = {n for n in names if (part_of(n) == entry if is_part else fnmatch.fnmatchcase(n, entry))}
        if not matches:
            raise ConfigError(f"{key}: {entry!r} matches nothing; {_advice(entry, names, present)}")
        found |= matches
    return found


def _advice(entry: str, names: Sequence[str], present: set[str]) -> str:
    if fnmatch.fnmatchcase("score.", entry) or entry.startswith(("score", "pooling", "head")):
        return "the head is always trained, and has no place here"
    if entry in BACKBONE_PARTS:
        return f"this backbone has no {entry}, only {', '.join(sorted(present))}"
    if "*" not in entry and "." not in entry:
        return near_matches(entry, present)
    sample = sorted({name for name in names if name.split(".")[-2:-1] != ["norm"]}, key=len)[:4]
    return f"expected a part ({', '.join(sorted(present))}) or a glob over names such as {', '.join(sample)}"


def frozen_dtype(parts: PartsSettings, optim: OptimSettings) -> torch.dtype:
    """Of weights that are not trained: that of the compute, to which they would be cast in each step anyway."""
    chosen = parts.frozen_dtype or ("float32" if optim.precision == "float32" else "bfloat16")
    return getattr(torch, chosen)


def trained_dtype(optim: OptimSettings) -> torch.dtype:
    """Of the backbone's trained weights; the head is float32 in any case."""
    return torch.bfloat16 if optim.precision == "bf16_weights" else torch.float32


def train_only(model: RewardModel, names: set[str], *, trained: torch.dtype, frozen: torch.dtype) -> None:
    """Trains the named weights, the adapters and the head, freezes the rest, and casts both kinds.

    Parameters alone are cast: ``Module.to`` would round the rotary frequencies too. Quantised weights stay as they are.
    """
    for name, parameter in model.named_parameters():
        is_head = part_of(name) == "head"
        learns = is_head or ADAPTER in name or name in names
        if parameter.is_floating_point():
            parameter.requires_grad_(learns)
            parameter.data = parameter.data.to(torch.float32 if is_head else trained if learns else frozen)
    stop_graphs(model)


def stop_graphs(model: RewardModel) -> None:
    """Runs the vision modules that are frozen throughout under ``no_grad``, so that none of their activations is kept.

    Only where no gradient has to pass: the tower when all of it is frozen, the merger when the tower is frozen too. Without this,
    hooks that make inputs require a gradient, as tools for adapters set, would keep the activations of the whole tower.
    """
    learning = {part_of(name) for name, parameter in model.named_parameters() if parameter.requires_grad}
    if "vision" in learning:
        return
    for name, module in _largest_frozen(model, ""):
        if part_of(f"{name}.") in ("vision", "merger"):
            NoGrad(module)


def _largest_frozen(module: torch.nn.Module, prefix: str) -> Iterator[tuple[str, torch.nn.Module]]:
    for name, child in module.named_children():
        parameters = list(child.parameters())
        is_list = isinstance(child, torch.nn.ModuleList | torch.nn.ModuleDict)
        if parameters and not is_list and part_of(f"{prefix}{name}.") != "language_model" \
                and not any(p.requires_grad for p in parameters):  # fmt: skip
            yield f"{prefix}{name}", child
        elif parameters:
            yield from _largest_frozen(child, f"{prefix}{name}.")


def recompute_activations(model: RewardModel, layers: bool | int = True) -> None:
    """Gradient checkpointing, never reentrant, so that it needs no input with a gradient.

    transformers makes the outputs of all embeddings require one when checkpointing is switched on; with frozen weights above them
    that keeps a graph of the whole backbone for nothing, so those hooks are taken off again.

    Args:
        layers: how many of the language model's, the first ones, and of the vision tower the same share; all where true.

    Raises:
        ConfigError: more layers than there are.
    """
    # Its name in transformers 5.23; 5.17 has the other alone, which warns in 5.23.
    enable = getattr(model.model, "activation_checkpointing_enable", None) or model.model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    model.model.disable_input_require_grads()
    if layers is True:
        return
    found: dict[str, list[GradientCheckpointingLayer]] = {}
    for name, module in model.named_modules():
        if isinstance(module, GradientCheckpointingLayer):
            found.setdefault(part_of(f"{name}."), []).append(module)
    total = len(found["language_model"])
    if layers > total:
        raise ConfigError(f"backbone.gradient_checkpointing: expected true, false or at most {total} layers, found {layers}")
    for members in found.values():
        for i, module in enumerate(members):
            module.gradient_checkpointing = i * total < layers * len(members)


def passes_of(model: RewardModel, *, recomputed: float = 0.0) -> Passes:
    """What of a training step's products a model makes: by what of it is trained, a part counted whole where some of it is.

    Args:
        recomputed: share of the layers that gradient checkpointing computes again.
    """
    kinds: dict[bool, set[str]] = {True: set(), False: set()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and part_of(name) != "head":
            kinds[ADAPTER in name].add(part_of(name))
    return training_passes(kinds[False], adapted=kinds[True], recomputed=recomputed)


class NoGrad:
    """Switches autograd off while a module's forward runs, also when it raises."""

    def __init__(self, module: torch.nn.Module):
        self.before: list[bool] = []
        module.register_forward_pre_hook(self.enter)
        module.register_forward_hook(self.leave, always_call=True)

    def enter(self, module: torch.nn.Module, inputs: Any) -> None:
        """Before the forward."""
        self.before.append(torch.is_grad_enabled())
        torch.set_grad_enabled(False)

    def leave(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        """After the forward."""
        torch.set_grad_enabled(self.before.pop())


def rate_of(name: str, parts: PartsSettings, optim: OptimSettings) -> float:
    """The peak learning rate of a weight: its part's, else the adapters' where it is one, else ``optim.lr``."""
    own = getattr(parts.lr, part_of(name))
    if own is None and parts.lora is not None and ADAPTER in name:
        own = parts.lora.lr
    return optim.lr if own is None else own


def param_groups(model: RewardModel, parts: PartsSettings, optim: OptimSettings) -> list[dict[str, Any]]:
    """The trained weights by part and rate, the language model first and the head last; norms, biases and other vectors do not
    decay.

    Raises:
        ConfigError: a rate for a part that has no trained weight, which would be ignored.
    """
    groups: dict[tuple, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (part_of(name), rate_of(name, parts, optim), optim.weight_decay if parameter.ndim > 1 else 0.0)
            group = groups.setdefault(key, {"part": key[0], "lr": key[1], "weight_decay": key[2], "params": []})
            group["params"].append(parameter)
    trained = {part for part, *_ in groups}
    for part in PARTS:
        if getattr(parts.lr, part) is not None and part not in trained:
            raise ConfigError(f"parts.lr.{part}: expected null, because nothing of the {part} is trained; found "
                              f"{getattr(parts.lr, part)}. Add it to parts.train, or to parts.lora.modules")  # fmt: skip
    return [groups[key] for key in sorted(groups, key=lambda key: (-list(PARTS).index(key[0]), key[1:]))]


def table(model: RewardModel, parts: PartsSettings, optim: OptimSettings) -> str:
    """What is trained and what is not, in which dtype, how many weights, at which rate; one line for each kind."""
    counts: Counter[tuple] = Counter()
    for name, parameter in model.named_parameters():
        rate = f"{rate_of(name, parts, optim):.1e}" if parameter.requires_grad else "-"
        state = "frozen" if not parameter.requires_grad else "LoRA" if ADAPTER in name else "trained"
        counts[part_of(name), state, dtype_name(parameter), rate] += num_weights(parameter)
    order = {part: i for i, part in enumerate(reversed(PARTS))}
    lines = [f"{'part':15} {'state':8} {'dtype':9} {'weights':>15}  peak rate"]
    for key in sorted(counts, key=lambda key: (order[key[0]], key[1:])):
        part, state, dtype, rate = key
        lines.append(f"{part:15} {state:8} {dtype:9} {counts[key]:>15,}  {rate}")
    trained = sum(count for key, count in counts.items() if key[1] != "frozen")
    total = sum(counts.values())
    return "\n".join([*lines, f"trained: {trained:,} of {total:,} weights ({trained / total:.2%})"])


def num_weights(parameter: torch.Tensor) -> int:
    """Weights in a parameter; a 4-bit one packs two into a byte."""
    packed = getattr(parameter, "quant_state", None)
    return packed.shape.numel() if packed is not None else parameter.numel()


def dtype_name(parameter: torch.Tensor) -> str:
    """``float32``, ``bfloat16``, or ``4-bit``, also for one of a planned model that will be in 4 bits (``is_packed``)."""
    packed = not parameter.is_floating_point() or getattr(parameter, "is_packed", False)
    return "4-bit" if packed else str(parameter.dtype).removeprefix("torch.")

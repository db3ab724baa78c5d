"""Fused kernels in place of some forwards of the stock model: Liger's where it is installed, or what torch.compile makes of a layer.

Liger's kernels (the extra ``liger``, CUDA) are put into the modules of one model, one by one; its own patches replace whole classes.
They are compared with the definition on small tensors before they are used, so that another version of them cannot train something
else in silence.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import MethodType

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface, PreTrainedModel

from basereward.attention.choose import AUTO, CHOICES
from basereward.attention.door import tree_name
from basereward.errors import ConfigError, MissingDependency

# Values and gradients of about 1 in float32; a kernel that computes something else is off by more.
TOLERANCE = 1e-4
ROTARY = "apply_rotary_pos_emb"
# Classes of transformers and torch.
SILU = ("SiLU", "SiLUActivation")

logger = logging.getLogger(__name__)


def check_kernels(liger: bool | str, compiled: bool, device: torch.device) -> None:
    """Refuses what does not go together, and kernels that were asked for and cannot be had on this machine.

    Args:
        liger: true, false or auto, of ``compute.liger``. compiled: ``compute.compile``.

    Raises:
        ConfigError: another value, or both at once. MissingDependency: Liger cannot be used; with the reason.
    """
    if liger not in (True, False, AUTO):
        raise ConfigError(f"compute.liger: expected true, false or auto, found {liger!r}")
    if liger is True and compiled:
        raise ConfigError(
            "compute.liger: torch.compile fuses the same operations; use compute.liger=auto or compute.compile=false"
        )
    if liger is True and (reason := liger_absent(device)):
        raise MissingDependency(f"compute.liger: {reason}; use compute.liger=auto")


def use_kernels(backbone: PreTrainedModel, liger: bool | str, compiled: bool, device: torch.device) -> None:
    """Puts into a backbone what the config asks for, and says what came of it.

    Args:
        device: where it will compute.
    """
    check_kernels(liger, compiled, device)
    if compiled:
        compile_layers(backbone)
        logger.info("decoder layers are compiled when they are first used, which takes a minute or more")
    elif liger is not False:
        reason = liger_absent(device)
        found = "the stock ones" if reason else f"Liger's in {use_liger(backbone)} modules"
        logger.info("norms, activations and rotary positions: %s%s", found, f" ({reason})" if reason else "")


def liger_absent(device: torch.device) -> str | None:
    """Why Liger's kernels are not used; ``None`` where they are."""
    if device.type != "cuda":
        return "Liger needs a CUDA device"
    try:
        functional = _liger()
    except ImportError as error:
        return f"Liger cannot be imported ({error}); pip install 'basereward[liger]'"
    wrong = [name for name, (fused, stock, shapes) in _comparisons(functional).items() if differs(fused, stock, shapes, device)]
    return f"Liger's {' and '.join(wrong)} does not compute what the stock model does" if wrong else None


def use_liger(backbone: PreTrainedModel) -> int:
    """Gives every RMSNorm and every SwiGLU of a backbone Liger's forward; returns how many.

    Rotary positions are a function of the family's module in transformers: it is replaced there for tensors on CUDA, so that other
    models of the family in this process compute them with the same kernel.
    """
    changed = 0
    for module in backbone.modules():
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            module.forward = MethodType(_norm, module)
        elif type(getattr(module, "act_fn", None)).__name__ in SILU and hasattr(module, "gate_proj"):
            module.forward = MethodType(_swiglu, module)
        else:
            continue
        changed += 1
    language_model = getattr(backbone, "language_model", backbone)
    source = sys.modules[type(language_model).__module__]
    stock = getattr(source, ROTARY)
    if not hasattr(stock, "stock"):
        setattr(source, ROTARY, _rotary_on_cuda(stock))
    return changed


def compile_layers(backbone: PreTrainedModel) -> None:
    """Compiles each decoder layer for rows of any length, attention left out: its layout is a Python object."""
    for choice in CHOICES:
        attend = AttentionInterface()[tree_name(choice)]
        AttentionInterface.register(tree_name(choice), torch.compiler.disable(attend))
    for layer in getattr(backbone, "language_model", backbone).layers:
        layer.forward = torch.compile(layer.forward, dynamic=True)


def differs(fused: Callable, stock: Callable, shapes: list[tuple[int, ...]], device: torch.device) -> bool:
    """Whether two functions give other values, or other gradients, for some tensors of these shapes."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for function in (fused, stock):
        generator.manual_seed(0)
        inputs = [torch.randn(shape, generator=generator).to(device).requires_grad_() for shape in shapes]
        # Copies go in: Liger's rotary positions are written over the queries and keys.
        values = function(*(x.clone() for x in inputs))
        values = values if isinstance(values, tuple) else (values,)
        torch.autograd.backward([x.square().sum() for x in values])
        found.append([*values, *(x.grad for x in inputs if x.grad is not None)])
    return any((a - b).abs().max().item() > TOLERANCE * max(1.0, b.abs().max().item()) for a, b in zip(*found, strict=True))


def _comparisons(functional) -> dict[str, tuple[Callable, Callable, list[tuple[int, ...]]]]:
    """By kernel: as it is called here, the definition, shapes to compare them on."""
    from transformers.models.qwen2.modeling_qwen2 import apply_rotary_pos_emb as rotate

    rotate = getattr(rotate, "stock", rotate)
    angles = torch.arange(8.0)[:, None] * (torch.arange(16) % 8)
    cos, sin = angles.cos()[None], angles.sin()[None]
    return {
        "RMSNorm": (lambda x, w: functional.liger_rms_norm(x, w, 1e-6, in_place=False),
                    lambda x, w: F.rms_norm(x, w.shape, w, 1e-6), [(1, 8, 32), (32,)]),
        "SwiGLU": (functional.liger_swiglu, lambda a, b: F.silu(a) * b, [(1, 8, 32), (1, 8, 32)]),
        "rotary positions": (lambda q, k: functional.liger_rope(_strided(q), _strided(k), cos.to(q.device), sin.to(q.device)),
                             lambda q, k: rotate(q, k, cos.to(q.device), sin.to(q.device)), [(1, 4, 8, 16), (1, 2, 8, 16)]),
    }  # fmt: skip


def _strided(x: torch.Tensor) -> torch.Tensor:
    """(1, H, S, D) laid out as a projection leaves it: a token's heads side by side."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def _liger():
    from liger_kernel.transformers import functional

    return functional


def _norm(self: nn.Module, hidden_states: torch.Tensor) -> torch.Tensor:
    # Not in place: the gradient that comes in may have another reader.
    return _liger().liger_rms_norm(hidden_states, self.weight, self.variance_epsilon, in_place=False)


def _swiglu(self: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return self.down_proj(_liger().liger_swiglu(self.gate_proj(x), self.up_proj(x)))


def _rotary_on_cuda(stock: Callable) -> Callable:
    def rotate(q, k, cos, sin, unsqueeze_dim=1):
        if not q.is_cuda:
            return stock(q, k, cos, sin, unsqueeze_dim)
        return _liger().liger_rope(q, k, cos, sin, unsqueeze_dim=unsqueeze_dim)

    rotate.stock = stock
    return rotate

"""AdamW that computes in float32 and keeps weights in bfloat16: what the two ways of not losing small updates share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from basereward.errors import ConfigError

# Elements computed at once: the float32 copies of a chunk take some 64 MiB each, whatever the size of the embedding.
CHUNK = 2**24
MOMENTS = ("float32", "bfloat16")


def round_stochastically(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """float32 -> one of its two bfloat16 neighbours, each with the probability that makes the mean right.

    A bfloat16 is the upper half of a float32; adding a uniform 16-bit number to the lower half carries with just that probability.
    """
    noise = torch.randint(0, 1 << 16, value.shape, dtype=torch.int32, device=value.device, generator=generator)
    # -65536 keeps the upper 16 bits.
    return (value.contiguous().view(torch.int32).add(noise) & -65536).view(torch.float32).bfloat16()


class Bf16AdamW(torch.optim.Optimizer):
    """AdamW (decoupled decay) for bfloat16 weights; float32 ones among them, such as the head's, are updated as usual.

    A subclass says how a float32 value is kept in a bfloat16 weight: ``value`` reads it, ``write`` stores it.

    Args:
        params: groups with ``lr`` and ``weight_decay``.
        betas: decay of the two moments. eps: added to the root of the second.
        moments: dtype of the moments of bfloat16 weights: float32, or bfloat16 (rounded stochastically: a second moment moves by a
            thousandth of itself in a step, less than half a bfloat16 step, and would stand still under ordinary rounding).
    """

    weight_dtype = torch.bfloat16
    buffer: str | None = None
    """Name of a bfloat16 tensor kept beside each weight."""

    def __init__(self, params: Iterable, *, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 moments: str = "float32"):  # fmt: skip
        if moments not in MOMENTS:
            raise ConfigError(f"optim.algorithm.moments: expected {' or '.join(MOMENTS)}, found {moments!r}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})
        self.moments = getattr(torch, moments)
        self.generator: torch.Generator | None = None

    @classmethod
    def state_bytes(cls, dtype: torch.dtype, moments: str = "float32") -> dict[str, float]:
        """Bytes that the optimizer keeps for each weight of a dtype."""
        if dtype != torch.bfloat16:
            return {"moments": 8}
        return {"moments": 4 if moments == "bfloat16" else 8} | ({cls.buffer: 2} if cls.buffer else {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """One update of every weight with a gradient."""
        assert closure is None, "this optimizer evaluates no closure"
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            self._start(parameter, state)
        state["step"] += 1
        names = [name for name in ("exp_avg", "exp_avg_sq", self.buffer) if name in state]
        tensors = [parameter, parameter.grad, *(state[name] for name in names)]
        for weight, grad, first, second, *buffer in zip(*(t.reshape(-1).split(CHUNK) for t in tensors)):
            change = self._change(grad.float(), first, second, state["step"].item(), group)
            value = self.value(weight, *buffer) * (1 - group["lr"] * group["weight_decay"])
            self._store(weight, value.sub_(change), *buffer)

    def _start(self, parameter: torch.Tensor, state: dict[str, torch.Tensor]) -> None:
        is_bf16 = parameter.dtype == torch.bfloat16
        state["step"] = torch.zeros(())
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = torch.zeros_like(parameter, dtype=self.moments if is_bf16 else torch.float32)
        if self.buffer and is_bf16:
            state[self.buffer] = torch.zeros_like(parameter)

    def _change(
        self, grad: torch.Tensor, first: torch.Tensor, second: torch.Tensor, step: float, group: dict[str, Any]
    ) -> torch.Tensor:
        """Moves both moments on and returns what is taken from the weights, without decay."""
        beta1, beta2 = group["betas"]
        mean = first.float().lerp(grad, 1 - beta1)
        square = second.float().mul(beta2).addcmul_(grad, grad, value=1 - beta2)
        for kept, value in ((first, mean), (second, square)):
            kept.copy_(self.rounded(value) if kept.dtype == torch.bfloat16 else value)
        root = square.sqrt_().div_((1 - beta2**step) ** 0.5).add_(group["eps"])
        return mean.div_(root).mul_(group["lr"] / (1 - beta1**step))

    def _store(self, weight: torch.Tensor, value: torch.Tensor, *buffer: torch.Tensor) -> None:
        if weight.dtype == torch.bfloat16:
            self.write(weight, value, *buffer)
        else:
            weight.copy_(value)

    def value(self, weight: torch.Tensor, *buffer: torch.Tensor) -> torch.Tensor:
        """The float32 value that a weight stands for."""
        return weight.float()

    def write(self, weight: torch.Tensor, value: torch.Tensor, *buffer: torch.Tensor) -> None:
        """Keeps a float32 value in a bfloat16 weight."""
        raise NotImplementedError

    def rounded(self, value: torch.Tensor) -> torch.Tensor:
        """float32 -> bfloat16 with the optimizer's own stream of random numbers, which is part of its state."""
        if self.generator is None:
            self.generator = torch.Generator(value.device).manual_seed(torch.initial_seed())
        return round_stochastically(value, self.generator)

    def state_dict(self) -> dict[str, Any]:
        """As usual, with the state of the random stream and the device it is for."""
        stream = None if self.generator is None else self.generator.get_state()
        return super().state_dict() | {"stream": stream, "device": None if stream is None else str(self.generator.device)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As usual, but tensors keep their dtype: torch would cast float32 moments to the bfloat16 of their weights."""
        super().load_state_dict(state_dict)
        for saved, group in zip(state_dict["param_groups"], self.param_groups):
            for index, parameter in zip(saved["params"], group["params"]):
                for name, value in state_dict["state"].get(index, {}).items():
                    self.state[parameter][name] = value.clone().to("cpu" if name == "step" else parameter.device)
        if state_dict["stream"] is not None:
            self.generator = torch.Generator(self.param_groups[0]["params"][0].device)
            self.generator.set_state(state_dict["stream"].cpu())

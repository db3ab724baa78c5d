"""Settings of a run -> bytes on each device: exact before activations, an estimate of those, and what would make it fit."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PretrainedConfig

from basereward.budget import AUTO
from basereward.flops import Passes, Sizes
from basereward.settings import TrainSettings

FLOAT32, BFLOAT16 = 4, 2
GRADIENTS = 0.5
"""Of what a layer keeps, what its backward holds in gradients at its peak: with it the estimate is within 15% of what was measured
on a CPU in float32 and bfloat16, with and without checkpointing and pictures (tests/run/test_costs.py)."""


@dataclass(frozen=True)
class Layer:
    """Widths of a layer that decide what a row of it keeps for the backward pass.

    Attributes:
        hidden: of the residual stream. queries, keys: of all query and all key heads together. inner: of the gated network.
    """

    hidden: int
    queries: int
    keys: int
    inner: float

    def kept(self, autocast: bool, stream: int) -> float:
        """Bytes for each row, of what is not computed again.

        Two norms keep what came in and what they made of it; products keep what goes into them, under autocast a copy in bfloat16 for
        each of three and of two; attention keeps queries, keys, values and its output; the gated network four of its width.

        Args:
            autocast: whether products are in another dtype than the residual stream. stream: bytes of a number of that.
        """
        inputs = 5 * self.hidden * BFLOAT16 if autocast else 2 * self.hidden * stream
        inside = BFLOAT16 if autocast else stream
        return 4 * self.hidden * stream + inputs + inside * (3 * self.queries + 2 * self.keys + 4 * self.inner)


@dataclass(frozen=True)
class Activations:
    """Bytes that a forward keeps for its backward.

    Attributes:
        per_token: of the language model. per_patch: of the vision tower.
        once_token, once_patch: of the one layer that the backward is in: gradients, and what checkpointing computes again.
    """

    per_token: float
    per_patch: float
    once_token: float = 0.0
    once_patch: float = 0.0

    def of(self, tokens: float, patches: float) -> float:
        """Of a forward of so many tokens and patches; the backward is in one layer at a time."""
        again = max(tokens * self.once_token, patches * self.once_patch)
        return tokens * self.per_token + patches * self.per_patch + again


def activations(
    settings: TrainSettings, config: PretrainedConfig, sizes: Sizes, passes: Passes, recomputed: float
) -> Activations:
    """The estimate for a run; none of a part through which no gradient goes.

    Args:
        passes: of a training step. recomputed: share of the layers of which only what came in is kept.
    """
    text = config.get_text_config()
    head = sizes.query_width // text.num_attention_heads
    language = Layer(text.hidden_size, sizes.query_width, head * text.num_key_value_heads, text.intermediate_size)
    per_token, once_token = _part(settings, language, sizes.layers, passes.language_attention, recomputed)
    per_patch = once_patch = 0.0
    if sizes.tower is not None:
        layers = sizes.tower.layers + sizes.tower.window_layers
        per_patch, once_patch = _part(settings, _tower_layer(sizes, layers), layers, passes.vision_attention, recomputed)
    return Activations(per_token, per_patch, once_token, once_patch)


def _part(settings: TrainSettings, layer: Layer, layers: int, attention: float, recomputed: float) -> tuple[float, float]:
    if attention <= 1:  # a forward alone
        return 0.0, 0.0
    stream = BFLOAT16 if settings.optim.precision == "bf16_weights" else FLOAT32
    kept = layer.kept(settings.optim.precision == "bf16", stream)
    again = recomputed * layers
    return (layers - again) * kept + again * layer.hidden * stream, (GRADIENTS + bool(again)) * kept


def _tower_layer(sizes: Sizes, layers: int) -> Layer:
    """Of the tower, whose inner width follows from its weights: four squares of its width and three products with it."""
    width = sizes.tower.width
    return Layer(width, width, width, max(0.0, sizes.vision / layers - 4 * width**2) / (3 * width))


def forward_tokens(settings: TrainSettings, longest: int) -> int:
    """Tokens of the largest forward: the budget, or the longest comparison where that is more or the budget is measured."""
    budget = settings.batch.token_budget
    return longest if budget == AUTO else max(int(budget), longest)

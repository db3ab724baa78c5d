"""Floating-point operations of packed rows, from a config's sizes and from lengths alone; no weights are needed.

Counted: products with weights (a multiplication and an addition for each weight and row) and attention (the two products of each
(query, key) pair that may see each other). Norms, activations, rotary positions, embeddings and the reward head are left out:
together less than a hundredth in the shapes of ``conf/backbone``. What is computed a second time (gradient checkpointing, a flash
kernel's backward) is counted only where asked for, as it is in model FLOPs utilisation (PaLM, arXiv 2204.02311, appendix B).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig

from basereward.backbones.find import find_family
from basereward.backbones.towers import Seen, Tower

TOWER = ("visual.", "vision_tower.")
MERGER = ("visual.merger", "visual.deepstack_merger", "multi_modal_projector.")
PER_WEIGHT = 2
"""Operations for each weight and row: a multiplication and an addition."""
PER_PAIR = 4
"""Operations for each pair and unit of width: query times key, and weight times value."""


@dataclass(frozen=True)
class Sizes:
    """What of a backbone's config decides its work.

    Attributes:
        language: weights that each token of the language model is multiplied with. layers: of the language model.
        query_width: of all its query heads together.
        vision: weights that each patch is multiplied with. merger: that each image token is.
        tower: what the patches see; ``None`` without pictures.
    """

    language: int
    layers: int
    query_width: int
    vision: int = 0
    merger: int = 0
    tower: Tower | None = None

    @classmethod
    def of(cls, config: PretrainedConfig) -> Sizes:
        """The sizes of a backbone or of a reward model on it, counted on the meta device."""
        own = copy.deepcopy(config)  # attention is set in it; how it is computed does not matter here
        with torch.random.fork_rng(), torch.device("meta"):
            backbone = AutoModel.from_config(own, attn_implementation="eager")
        tower, text = find_family(config).tower(config), config.get_text_config()
        counts = {"language": 0, "vision": 0, "merger": 0}
        for name, module in backbone.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
                # A merger takes the patches of a token as one row.
                part = "merger" if name.startswith(MERGER) else "vision" if name.startswith(TOWER) else "language"
                counts[part] += module.weight.numel()
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return cls(layers=text.num_hidden_layers, query_width=text.num_attention_heads * head, tower=tower, **counts)


@dataclass(frozen=True)
class Work:
    """How much of each kind some comparisons ask for; adds up over comparisons.

    Attributes:
        tokens: of the language model. pairs: (query, key) pairs of one of its layers. seen: of the vision tower.
    """

    tokens: float = 0
    pairs: float = 0
    seen: Seen = Seen()

    def __add__(self, other: Work) -> Work:
        return Work(self.tokens + other.tokens, self.pairs + other.pairs, self.seen + other.seen)


@dataclass(frozen=True)
class Passes:
    """How many forwards' worth of products a step makes in each part; a forward alone is 1 of each.

    Attributes:
        language, vision, merger: products with weights. language_attention, vision_attention: products of pairs.
    """

    language: float = 1
    vision: float = 1
    merger: float = 1
    language_attention: float = 1
    vision_attention: float = 1


FORWARD = Passes()


def work(prefix: int, responses: Sequence[int], grids: Iterable[Sequence[int]] = (), *, tower: Tower | None = None) -> Work:
    """The work of one comparison whose prefix and pictures are computed once; a padded row is a prefix without responses.

    Args:
        prefix, responses: tokens. grids: layouts of its pictures, as the family counts them.

    >>> work(4, [2, 3])
    Work(tokens=9, pairs=39, seen=Seen(patches=0, tokens=0, pairs=0, window_pairs=0))
    """
    seen = sum((tower.see(grid) for grid in grids), Seen())
    return Work(prefix + sum(responses), causal_pairs(prefix, responses), seen)


def causal_pairs(prefix: int, responses: Iterable[int]) -> int:
    """(query, key) pairs of a comparison: each token sees itself and what stands before it, a response no other response.

    >>> causal_pairs(2, [1, 2])
    13
    """
    return prefix * (prefix + 1) // 2 + sum(n * prefix + n * (n + 1) // 2 for n in responses)


def training_passes(trained: Collection[str], *, adapted: Collection[str] = (), recomputed: float = 0.0) -> Passes:
    """The passes of a training step.

    A trained part makes each product three times: forward, and the gradients of the weights and of what came in. A frozen one
    through which a gradient goes makes two, and any other one. Attention has no weights: three, or one.

    Args:
        trained: parts (``language_model``, ``merger``, ``vision``) whose weights are trained.
        adapted: parts with adapters; the adapters' own products are left out, some hundredths.
        recomputed: share of the layers that gradient checkpointing computes again; 0 for the work that is needed.

    >>> training_passes(["language_model", "merger", "vision"]).language, training_passes([], adapted=["language_model"]).language
    (3.0, 2.0)
    """
    learning = set(trained) | set(adapted)
    below = {"vision": {"vision"}, "merger": {"vision", "merger"}, "language_model": {"vision", "merger", "language_model"}}
    reached = {part: float(bool(learning & parts)) for part, parts in below.items()}
    again = {part: recomputed * reached[part] for part in ("vision", "language_model")}
    products = {part: 1 + reached[part] + (part in trained) + again.get(part, 0.0) for part in below}
    return Passes(
        language=products["language_model"], vision=products["vision"], merger=products["merger"],
        language_attention=1 + 2 * reached["language_model"] + again["language_model"],
        vision_attention=1 + 2 * reached["vision"] + again["vision"],
    )  # fmt: skip


def flops(sizes: Sizes, amount: Work, passes: Passes = FORWARD) -> float:
    """Floating-point operations of some work; an array where the work's numbers are arrays.

    >>> flops(Sizes(language=100, layers=2, query_width=8), work(4, [2, 3]))
    4296
    """
    products = passes.language * sizes.language * amount.tokens
    products += passes.vision * sizes.vision * amount.seen.patches + passes.merger * sizes.merger * amount.seen.tokens
    attention = passes.language_attention * sizes.layers * sizes.query_width * amount.pairs
    if (tower := sizes.tower) is not None:
        pairs = tower.layers * amount.seen.pairs + tower.window_layers * amount.seen.window_pairs
        attention += passes.vision_attention * tower.width * pairs
    return PER_WEIGHT * products + PER_PAIR * attention

"""Settings of a run and the lengths of its data -> floating-point operations, by what they are spent on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from basereward.costs.amounts import Amount, Data
from basereward.encode import Lengths
from basereward.flops import FORWARD, Passes, Sizes
from basereward.lengths import LengthTable
from basereward.model import RewardModel
from basereward.parts import part_of, passes_of
from basereward.settings import TrainSettings
from basereward.train_parts import num_steps


@dataclass(frozen=True)
class Operations:
    """What a run computes; floating-point operations unless said otherwise.

    Attributes:
        steps: of the optimizer. comparisons: trained on, epochs counted. tokens: of them, each prompt once; image_tokens among them.
        needed: by training, nothing computed twice and nothing kept. computed: with what checkpointing computes again, and without
            what is kept on disk. validation, evaluation: forwards while it trains, and on benchmarks after it.
        by_rows: ``needed`` if every response were a row of its own with its prompt and pictures, without padding.
    """

    steps: int
    comparisons: int
    tokens: float
    image_tokens: float
    needed: float
    computed: float
    validation: float
    evaluation: float
    by_rows: float

    @property
    def total(self) -> float:
        """All that a device is asked for."""
        return self.computed + self.validation + self.evaluation


@dataclass
class Kept:
    """Features that earlier runs of a grid have left on disk: what they are of -> comparisons."""

    seen: dict[str, int] = field(default_factory=dict)

    def missing(self, key: str, comparisons: int) -> int:
        """Comparisons whose features must still be computed; they are kept from then on."""
        before = self.seen.get(key, 0)
        self.seen[key] = max(before, comparisons)
        return max(0, comparisons - before)


@dataclass(frozen=True)
class Mean:
    """The mean comparison of an epoch; operations of a training step on it.

    Attributes:
        needed, computed: without and with what is computed again. frozen_tower: ``computed`` where the tower's features are kept.
        forward, by_rows: of a forward, and of ``needed`` by one row for each response.
    """

    tokens: float
    image_tokens: float
    responses: float
    needed: float
    computed: float
    frozen_tower: float
    forward: float
    by_rows: float


def mean_comparison(data: Data, sizes: Sizes, model: RewardModel, settings: TrainSettings) -> Mean:
    """Over the comparisons of an epoch, in the proportions that it takes of each source."""
    passes, again = passes_of(model), passes_of(model, recomputed=recomputed_share(settings, sizes))
    tower_kept = replace(again, vision=0.0, vision_attention=0.0, merger=again.merger if _merger_is_trained(model) else 0.0)
    rows = [(_of_source(amount, sizes, passes, again, tower_kept), data.epoch[name]) for name, amount in data.amounts.items()]
    total = sum(weight for _, weight in rows)
    return Mean(*(sum(values[i] * weight for values, weight in rows) / total for i in range(len(rows[0][0]))))


def _of_source(amount: Amount, sizes: Sizes, passes: Passes, again: Passes, tower_kept: Passes) -> tuple[float, ...]:
    table, num = LengthTable.of(amount.lengths), len(amount.lengths)
    apart = LengthTable.of(one_row_each(amount.lengths))
    costs = [float(table.costs(sizes, kind).mean()) for kind in (passes, again, tower_kept, FORWARD)]
    responses = sum(len(item.responses) for item in amount.lengths) / num
    by_rows = float(apart.costs(sizes, passes).sum()) / num
    return (float(table.packed.mean()), float(table.image_tokens.mean()), responses, *costs, by_rows)


def one_row_each(lengths: Sequence[Lengths]) -> list[Lengths]:
    """Every response with a copy of its prompt and pictures, as toolkits that know only rows compute it."""
    return [Lengths(item.prefix, (response,), item.image_tokens) for item in lengths for response in item.responses]


def recomputed_share(settings: TrainSettings, sizes: Sizes) -> float:
    """Of the layers, by gradient checkpointing."""
    layers = settings.backbone.gradient_checkpointing
    return float(layers) if isinstance(layers, bool) else min(1.0, layers / sizes.layers)


def operations(
    settings: TrainSettings, data: Data, mean: Mean, *, evaluation: float = 0.0, kept: Kept | None = None
) -> Operations:
    """What a run will compute.

    Args:
        evaluation: operations of the benchmarks after it. kept: what runs before it left on disk, and what it leaves.
    """
    epoch = sum(data.epoch.values())
    steps = num_steps(settings, epoch)
    comparisons = round(steps / math.ceil(epoch / settings.batch.size) * epoch)
    validations = math.ceil(steps / settings.run.eval_every) if data.validation else 0
    computed, validation = comparisons * mean.computed, validations * data.validation * mean.forward
    if settings.cache.hidden or settings.cache.vision:
        kept = kept if kept is not None else Kept()
        distinct = min(comparisons, epoch)
        first = kept.missing(_key(settings), distinct)
        apart = kept.missing(_key(settings) + "val", data.validation if validations else 0)
        often = 0.0 if settings.cache.hidden else mean.frozen_tower
        tower = mean.computed - often
        computed = comparisons * often + first * tower
        blind = 0.0 if settings.cache.hidden else mean.forward - tower
        validation = validations * data.validation * blind + apart * (mean.forward - blind)
    return Operations(
        steps, comparisons, comparisons * mean.tokens, comparisons * mean.image_tokens, comparisons * mean.needed, computed,
        validation, evaluation, comparisons * mean.by_rows,
    )  # fmt: skip


def _key(settings: TrainSettings) -> str:
    """What kept features belong to: the frozen model, its pictures, and the rows."""
    facts: dict[str, Any] = {"data": settings.data, "backbone": asdict(settings.backbone), "start": settings.init_from,
                             "precision": settings.optim.precision, "batch": settings.batch.max_length}  # fmt: skip
    facts["backbone"].pop("gradient_checkpointing")
    if settings.cache.hidden:
        facts["pooling"] = settings.pooling
    else:
        facts |= {"dtype": settings.cache.dtype, "merger": sorted(settings.parts.train)}
    return json.dumps(facts, sort_keys=True, default=str)


def _merger_is_trained(model: RewardModel) -> bool:
    return any(parameter.requires_grad and part_of(name) == "merger" for name, parameter in model.named_parameters())

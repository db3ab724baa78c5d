"""Runs and a device -> what each run costs and what all come to; models are built without weights, once for those that are alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from basereward.costs.amounts import Amount, Assumed, Data, amounts_of
from basereward.costs.device_memory import activations, forward_tokens
from basereward.costs.disk import Disk, disk_of
from basereward.costs.hardware import Hardware
from basereward.costs.judging import judging_operations
from basereward.costs.tokens import encoder_at_hand, image_tokens
from basereward.costs.work import Kept, Operations, mean_comparison, operations, recomputed_share
from basereward.flops import Sizes
from basereward.memory import memory_bytes, model_without_weights
from basereward.model import RewardModel
from basereward.parts import passes_of
from basereward.settings import EvaluateSettings, TrainSettings

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """One run of a plan.

    Attributes:
        name: of the cell. row: the line of the table that it belongs to, its setting without the seed.
        evaluate: benchmarks after it. is_done: whether it is finished already. overrides: of ``basereward train``.
    """

    name: str
    row: str
    settings: TrainSettings
    evaluate: Sequence[EvaluateSettings] = ()
    is_done: bool = False
    overrides: Sequence[str] = ()


@dataclass(frozen=True)
class Assumptions:
    """What a plan takes for granted; keys of conf/plan.yaml."""

    mfu: float
    prompt: int
    response: int
    image: int | None
    rows: dict[str, int]
    sample: int
    reserve: float


@dataclass(frozen=True)
class Memory:
    """Bytes on each device.

    Attributes:
        before: weights, gradients, moments. activations: of the largest forward, an estimate. tokens: of that forward.
        limit: of the device, what its libraries take not counted; None where it is not known.
    """

    before: float
    activations: float
    tokens: int
    limit: float | None

    @property
    def fits(self) -> bool | None:
        """None where the device's memory is not known."""
        return None if self.limit is None else self.before + self.activations <= self.limit


@dataclass(frozen=True)
class Cost:
    """What one run costs; everything but the name is None where the sizes of its backbone are not to be had."""

    wanted: Wanted
    work: Operations | None = None
    memory: Memory | None = None
    disk: Disk | None = None
    data: Data | None = None
    hours: float | None = None
    mfu: float | None = None

    @property
    def left(self) -> float:
        """Device-hours that are still to come."""
        return 0.0 if self.wanted.is_done else self.hours or 0.0


@dataclass
class Estimator:
    """Works out costs; what runs have in common is worked out once."""

    hardware: Hardware
    assumptions: Assumptions
    kept: Kept = field(default_factory=Kept)
    known: dict[Hashable, Any] = field(default_factory=dict)

    def cost(self, wanted: Wanted) -> Cost:
        """Of one run, after those before it: features that they keep are not computed again."""
        settings = wanted.settings
        model = self.model(settings)
        if model is None:
            return Cost(wanted)
        sizes, data = self.sizes(settings, model), self.data(settings, model)
        mean = self._once(("mean", self._model_key(settings), self._data_key(settings), settings.backbone.gradient_checkpointing),
                          lambda: mean_comparison(data, sizes, model, settings))  # fmt: skip
        judging = sum(self.judging(entry, settings, model) for entry in wanted.evaluate)
        work = operations(settings, data, mean, evaluation=judging, kept=self.kept)
        mfu = self.hardware.mfu or self.assumptions.mfu
        peak = self.hardware.peak("float32" if settings.optim.precision == "float32" else "bfloat16")
        disk = disk_of(settings, model, work, mean, sum(data.epoch.values()))
        return Cost(wanted, work, self.memory(settings, model, data), disk, data, work.total / (peak * mfu) / 3600, mfu)

    def memory(self, settings: TrainSettings, model: RewardModel, data: Data) -> Memory:
        """On each device."""
        sizes = self.sizes(settings, model)
        share = recomputed_share(settings, sizes)
        lengths = [item for amount in data.amounts.values() for item in amount.lengths]
        tokens = forward_tokens(settings, max(item.longest for item in lengths))
        patches = tokens * _patches_per_token(data, sizes)
        kept = activations(settings, model.config, sizes, passes_of(model), share).of(tokens, patches)
        limit = None if self.hardware.memory is None else self.hardware.memory - self.assumptions.reserve
        return Memory(sum(memory_bytes(model, settings.optim).values()), kept, tokens, limit)

    def judging(self, entry: EvaluateSettings, settings: TrainSettings, model: RewardModel) -> float:
        """Operations of a benchmark after a run."""
        facts = [entry.benchmark, entry.blind, entry.shuffled, self._backbone_key(settings)]
        return self._once(_text(facts), lambda: judging_operations(
            entry, self.sizes(settings, model), self.encoder(settings), self.assumed(settings, model)))  # fmt: skip

    def model(self, settings: TrainSettings) -> RewardModel | None:
        """On the meta device."""
        return self._once(("model", self._model_key(settings)), lambda: model_without_weights(settings))

    def sizes(self, settings: TrainSettings, model: RewardModel) -> Sizes:
        """Of its backbone."""
        return self._once(("sizes", self._backbone_key(settings)), lambda: Sizes.of(model.config))

    def encoder(self, settings: TrainSettings) -> Any:
        """Of its backbone, where the tokenizer is here."""
        return self._once(("encoder", self._backbone_key(settings)), lambda: encoder_at_hand(settings))

    def data(self, settings: TrainSettings, model: RewardModel) -> Data:
        """Its sources."""
        assumed = self.assumed(settings, model)
        return self._once(self._data_key(settings), lambda: amounts_of(
            settings.data, encoder=self.encoder(settings), assumed=assumed, max_length=settings.batch.max_length))  # fmt: skip

    def assumed(self, settings: TrainSettings, model: RewardModel) -> Assumed:
        """What stands in for rows that are not here, for this backbone."""
        given, a = self.assumptions.image, self.assumptions
        image = image_tokens(settings, model.config) if given is None or self.sizes(settings, model).tower is None else given
        return Assumed(a.prompt, a.response, image, a.rows, a.sample)

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def _backbone_key(self, settings: TrainSettings) -> str:
        backbone = {key: value for key, value in vars(settings.backbone).items() if key != "gradient_checkpointing"}
        if backbone["create"] is not None:  # the folder within a run's own says nothing
            backbone.pop("path")
        return _text([backbone, settings.init_from])

    def _model_key(self, settings: TrainSettings) -> str:
        optim = settings.optim
        return _text([self._backbone_key(settings), settings.new_head, settings.pooling, settings.parts, optim.algorithm,
                      optim.precision, optim.average])  # fmt: skip

    def _data_key(self, settings: TrainSettings) -> str:
        return _text(["data", settings.data, self._backbone_key(settings), settings.batch.max_length])


def _text(facts: Any) -> str:
    return json.dumps(facts, sort_keys=True, default=lambda part: vars(part))


def _patches_per_token(data: Data, sizes: Sizes) -> float:
    """In a forward of the source with the largest share of pictures: forwards differ, and the dearest must fit."""
    if sizes.tower is None:
        return 0.0
    return sizes.tower.merge**2 * max(_image_share(amount) for amount in data.amounts.values())


def _image_share(amount: Amount) -> float:
    return sum(sum(item.image_tokens) for item in amount.lengths) / sum(item.packed for item in amount.lengths)

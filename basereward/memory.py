"""What a run needs in memory before activations, from the config alone: the model is built without weights, on the meta device."""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig

from basereward.adapters import choose_parts, linear_names
from basereward.config import locate
from basereward.model import RewardModel
from basereward.parts import ADAPTER, dtype_name, num_weights, part_of
from basereward.settings import OptimSettings, TrainSettings

GIB = 2**30
# 4 bits, and an 8-bit scale for each 64 of them, whose own scales take next to nothing.
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)


def model_without_weights(settings: TrainSettings) -> RewardModel | None:
    """The model of a run on the meta device, with what is trained chosen; ``None`` where its sizes are not to be had.

    Raises:
        ConfigError: a part or glob that matches nothing.
    """
    config = known_config(settings)
    if config is None:
        return None
    with torch.random.fork_rng(), torch.device("meta"):
        model = RewardModel.from_backbone(AutoModel.from_config(config), settings.new_head, seed=0, pooling=settings.pooling)
        choose_parts(model, settings.parts, settings.optim)
    if settings.parts.quantize is not None:
        for name in linear_names(model):
            if part_of(name) == "language_model" and ADAPTER not in name:
                model.get_submodule(name).weight.is_packed = True
    return model


def known_config(settings: TrainSettings) -> PretrainedConfig | None:
    """The backbone's config from its folder, from the Hub's cache, or from the sizes in the YAML; nothing is downloaded."""
    backbone = settings.backbone
    path = settings.init_from or backbone.path
    final = Path(path) / "final"
    if settings.init_from is None and backbone.create is not None and not Path(path).exists():
        return AutoConfig.for_model(**_created(backbone.create))
    try:
        return AutoConfig.from_pretrained(final if final.is_dir() else path, revision=backbone.revision, local_files_only=True)
    except (OSError, ValueError):
        shape = dict(backbone.shape or {}) if settings.init_from is None else {}
        return AutoConfig.for_model(shape.pop("model_type"), **shape) if shape else None


@cache
def _created(function: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        locate(function, "backbone.create")(folder, seed=0)
        return AutoConfig.from_pretrained(folder).to_dict()


def memory_bytes(model: RewardModel, optim: OptimSettings) -> dict[str, float]:
    """Bytes by what they hold: frozen weights, trained weights, gradients, what the optimizer keeps, the average."""
    algorithm = locate(optim.algorithm["_target_"], "optim.algorithm")
    options = {name: value for name, value in optim.algorithm.items() if name == "moments"}
    total: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        count, size = num_weights(parameter), parameter.element_size()
        if not parameter.requires_grad:
            total["frozen weights"] += count * (NF4_BYTES if dtype_name(parameter) == "4-bit" else size)
            continue
        total["trained weights"] += count * size
        total["gradients"] += count * size
        for kept, num_bytes in algorithm.state_bytes(parameter.dtype, **options).items():
            total[kept] += count * num_bytes
        if optim.average is not None:
            total["average"] += count * 4
        if optim.precision == "bf16" and part_of(name) != "head":
            total["bfloat16 copies in a step"] += count * 2
    return dict(total)


def taken_later(model: RewardModel, optim: OptimSettings) -> int:
    """Bytes that a model on its device does not take yet: those of the first optimizer step, gradients not counted."""
    now = ("frozen weights", "trained weights", "gradients", "average")
    return round(sum(num_bytes for kind, num_bytes in memory_bytes(model, optim).items() if kind not in now))


def memory_table(model: RewardModel, optim: OptimSettings) -> str:
    """The bytes as lines, each also for one trained weight, and what is not in them."""
    trained = sum(num_weights(p) for p in model.parameters() if p.requires_grad)
    by_kind = memory_bytes(model, optim)
    lines = [f"{'memory':28} {'GiB':>8}  bytes for each trained weight"]
    for kind, num_bytes in by_kind.items():
        each = "" if kind == "frozen weights" else f"{num_bytes / trained:.1f}"
        lines.append(f"{kind:28} {num_bytes / GIB:>8.3g}  {each}".rstrip())
    # The copies of autocast live within a step; what stands between steps is what a smaller optimizer can save.
    kept = sum(n for kind, n in by_kind.items() if kind not in ("frozen weights", "bfloat16 copies in a step"))
    lines.append(f"{'together':28} {sum(by_kind.values()) / GIB:>8.3g}  {kept / trained:.1f} between steps")
    return "\n".join([*lines, "activations come on top: batch.token_budget and backbone.gradient_checkpointing change them"])

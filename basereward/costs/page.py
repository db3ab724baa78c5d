"""A plan as text for a terminal and as JSON for programs; every figure that is no count is named as an assumption."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from basereward.costs.account import Cost, Estimator, Memory
from basereward.costs.advice import changes_that_fit
from basereward.costs.amounts import Amount
from basereward.problems import counted
from basereward.text_tables import table

GIB = 2**30
HEADER = ("setting", "runs", "steps", "comparisons", "tokens", "FLOPs", "saving", "GPU-hours", "GiB on a GPU", "fits")


@dataclass(frozen=True)
class Head:
    """What is planned.

    Attributes:
        title: a run's or a grid's name. gpus: devices that share a run, of each answer that is asked for.
        stops_early: successive halving may end runs before their last step.
    """

    title: str
    gpus: Sequence[int]
    stops_early: bool = False


def page(head: Head, estimator: Estimator, costs: Sequence[Cost]) -> str:
    """The plan as text."""
    known = [cost for cost in costs if cost.work is not None]
    numbers = " or ".join(map(str, head.gpus))
    parts = [f"plan of {head.title} on {numbers} x {estimator.hardware.name}", "", table(HEADER, _rows(costs)), ""]
    parts += [_totals(head, known), ""] if known else []
    parts += _unknown(costs)
    parts += [*_memory(known, estimator), _sources(known), "", *_assumptions(head, estimator, known)]
    return "\n".join([*parts, "", "plan: nothing was fetched, trained or written"])


def _rows(costs: Sequence[Cost]) -> list[tuple[str, ...]]:
    """One line for each setting; its runs differ in the seed alone, and cost the same unless one keeps features for the others."""
    groups: dict[str, list[Cost]] = {}
    for cost in costs:
        groups.setdefault(cost.wanted.row, []).append(cost)
    return [_row(name, group) for name, group in groups.items()]


def _row(name: str, group: Sequence[Cost]) -> tuple[str, ...]:
    first, num = group[0], counted_runs(group)
    if first.work is None or first.memory is None:
        return (name, num, *["?"] * (len(HEADER) - 2))
    work = first.work
    computed = sum(cost.work.total for cost in group)
    hours = sum(cost.hours for cost in group)
    return (name, num, f"{work.steps:,}", f"{sum(cost.work.comparisons for cost in group):,}",
            scaled(sum(cost.work.tokens for cost in group)), f"{computed:.3g}", f"{work.by_rows / work.needed:.2f}x", f"{hours:,.3g}",
            f"{(first.memory.before + first.memory.activations) / GIB:.3g}", FITS[first.memory.fits])  # fmt: skip


FITS = {True: "yes", False: "no", None: "?"}


def counted_runs(group: Sequence[Cost]) -> str:
    """How many, and how many of them are finished."""
    done = sum(cost.wanted.is_done for cost in group)
    return f"{len(group)} ({done} done)" if done else str(len(group))


def totals(known: Sequence[Cost], gpus: Sequence[int]) -> dict[str, Any]:
    """What all runs come to; operations, device-hours, hours by the clock, bytes."""
    hours, left = sum(cost.hours for cost in known), sum(cost.left for cost in known)
    return {
        "runs": len(known), "runs_done": sum(cost.wanted.is_done for cost in known),
        "comparisons": sum(cost.work.comparisons for cost in known), "tokens": sum(cost.work.tokens for cost in known),
        "flops": sum(cost.work.total for cost in known), "flops_training_needed": sum(cost.work.needed for cost in known),
        "flops_training": sum(cost.work.computed for cost in known), "flops_validation": sum(cost.work.validation for cost in known),
        "flops_evaluation": sum(cost.work.evaluation for cost in known), "flops_by_rows": sum(cost.work.by_rows for cost in known),
        "gpu_hours": hours, "gpu_hours_left": left,
        "wall_hours": {str(num): hours / num for num in gpus}, "wall_hours_left": {str(num): left / num for num in gpus},
        "disk_runs": sum(cost.disk.run for cost in known), "disk_more_while_writing": max(cost.disk.checkpoint for cost in known),
        "disk_cache": _cache(known),
    }  # fmt: skip


def _cache(known: Sequence[Cost]) -> float:
    """Kept features of different rows or models lie beside one another; those of the same are shared."""
    by_rows = {(id(cost.data), cost.disk.cache): cost.disk.cache for cost in known}
    return sum(by_rows.values())


def _totals(head: Head, known: Sequence[Cost]) -> str:
    all_ = totals(known, head.gpus)
    done = f", {all_['runs_done']} of them done" if all_["runs_done"] else ""
    left = f", {all_['gpu_hours_left']:,.4g} of them left" if done else ""
    clock = [f"{duration(hours)} on {counted(int(num), 'GPU')}" for num, hours in all_["wall_hours_left"].items()]
    lines = [
        ("runs", f"{all_['runs']}{done}; {all_['comparisons']:,} comparisons, {scaled(all_['tokens'])} tokens, each prompt once"),
        ("operations", f"{all_['flops']:.3g}: training {all_['flops_training']:.3g} (needed {all_['flops_training_needed']:.3g}), "
                       f"validation {all_['flops_validation']:.3g}, benchmarks {all_['flops_evaluation']:.3g}"),
        ("a row per response", f"would need {all_['flops_by_rows']:.3g} for training without padding, "
                               f"{all_['flops_by_rows'] / all_['flops_training_needed']:.2f} times as much"),
        ("GPU-hours", f"{all_['gpu_hours']:,.4g}{left}"),
        ("by the clock", f"{', '.join(clock)}, if they share without loss"),
        ("disk", f"{scaled(all_['disk_runs'])}B of checkpoints and models when all are done, {scaled(all_['disk_more_while_writing'])}B "
                 "more while one is written" + (f", {scaled(all_['disk_cache'])}B of kept features" if all_["disk_cache"] else "")),
    ]  # fmt: skip
    return "\n".join(f"{name:20}{text}" for name, text in lines)


def _unknown(costs: Sequence[Cost]) -> list[str]:
    names = sorted({cost.wanted.settings.backbone.path for cost in costs if cost.work is None})
    if not names:
        return []
    missing = counted(sum(cost.work is None for cost in costs), "run")
    return [f"not in these sums: {missing} on {', '.join(names)}, whose sizes are not here; fetch the config first (hf download "
            f"{names[0]} config.json), or give backbone.shape", ""]  # fmt: skip


def _memory(known: Sequence[Cost], estimator: Estimator) -> list[str]:
    """The largest run, and every size of run that does not fit with what would make it fit."""
    if not known:
        return []
    by_size: dict[str, Cost] = {}
    for cost in sorted(known, key=lambda cost: -(cost.memory.before + cost.memory.activations)):
        by_size.setdefault(f"{cost.memory.before:.1e}", cost)  # heads differ by a hundredth
    largest, *others = by_size.values()
    lines = []
    for cost in [largest, *(cost for cost in others if cost.memory.fits is False)]:
        changes = changes_that_fit(cost, estimator)
        lines.append(_memory_line(cost.wanted.row, cost.memory))
        lines += [
            f"  would fit with {words} ({memory.before / GIB:.3g} + {memory.activations / GIB:.3g} GiB)"
            for words, memory in changes
        ]
        if cost.memory.fits is False and not changes:
            lines.append(
                "  nothing that this version offers makes it fit: weights are not shared out over GPUs; take a larger device"
            )
    return [*lines, ""]


def _memory_line(name: str, memory: Memory) -> str:
    limit = "unknown" if memory.limit is None else f"{memory.limit / GIB:.3g} GiB: {'fits' if memory.fits else 'does not fit'}"
    return (f"memory of {name}: {memory.before / GIB:.3g} GiB before activations, about {memory.activations / GIB:.3g} GiB for a forward "
            f"of {memory.tokens:,} tokens, of {limit}")  # fmt: skip


def _sources(known: Sequence[Cost]) -> str:
    """One line for each source; where runs take other amounts of it, their range, and where it is drawn anew for each seed, the mean."""
    groups: dict[tuple[str, ...], list[tuple[int, Amount]]] = {}
    for cost in known:
        for name, amount in cost.data.amounts.items():
            key = (name, f"{amount.rows:,}", amount.counted, amount.measured)
            groups.setdefault(key, []).append((cost.data.epoch[name], amount))
    rows = []
    for (name, num, counted_by, measured), found in groups.items():
        epochs = sorted({epoch for epoch, _ in found})
        taken = f"{epochs[0]:,}" if len(epochs) == 1 else f"{epochs[0]:,} to {epochs[-1]:,}"
        lengths = [item for _, amount in found for item in amount.lengths]
        tokens, pictures = sum(i.packed for i in lengths) / len(lengths), sum(sum(i.image_tokens) for i in lengths) / len(lengths)
        rows.append((name, num, counted_by, taken, f"{tokens:,.0f}", f"{pictures:,.0f}", measured))
    return table(("source", "comparisons", "known", "an epoch takes", "tokens each", "of pictures", "from"), rows)


def _assumptions(head: Head, estimator: Estimator, known: Sequence[Cost]) -> list[str]:
    given = estimator.assumptions
    stated = f"MFU {given.mfu:g}: nothing was measured on such a device; conf/plan.yaml has the reason, mfu=... another"
    measured = f"MFU {estimator.hardware.mfu:g}, measured (hardware.mfu)" if estimator.hardware.mfu else ""
    peak = [estimator.hardware.measured] if estimator.hardware.measured else []
    lines = [measured or stated, *peak, "GPUs share a run without loss", "the seconds in which a run starts are not counted"]
    if any(amount.is_assumed for cost in known for amount in cost.data.amounts.values()):
        image = max((item for cost in known for amount in cost.data.amounts.values() for length in amount.lengths
                     for item in length.image_tokens), default=0)  # fmt: skip
        lines.append(
            f"where no rows are here: {given.prompt} tokens of text in a prompt and {given.response} in a response "
            f"(tokens.prompt, tokens.response), {image:,} of a picture, the most that backbone.max_pixels allows (tokens.image)"
        )
    if head.stops_early:
        lines.append("every run goes to its end: successive halving makes it less, by how much is seen as it runs")
    lines.append(f"{given.reserve / GIB:g} GiB of a device are kept for CUDA and its libraries (reserve_gib)")
    lines.append("activations are an estimate; batch.token_budget=auto measures them")
    return ["assumptions", *(f"  - {line}" for line in lines)]


def as_json(head: Head, estimator: Estimator, costs: Sequence[Cost]) -> dict[str, Any]:
    """The plan for programs: sums, each run, and what was assumed; operations, hours and bytes."""
    known = [cost for cost in costs if cost.work is not None]
    return {
        "title": head.title, "gpus": list(head.gpus), "hardware": asdict(estimator.hardware), "assumptions": asdict(estimator.assumptions),
        "totals": totals(known, head.gpus) if known else {}, "runs": [_run(cost) for cost in costs],
    }  # fmt: skip


def _run(cost: Cost) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": cost.wanted.name, "setting": cost.wanted.row, "done": cost.wanted.is_done}
    if cost.work is None:
        return facts | {"unknown": f"the sizes of {cost.wanted.settings.backbone.path}"}
    facts |= {"operations": asdict(cost.work) | {"total": cost.work.total}, "gpu_hours": cost.hours, "mfu": cost.mfu}
    facts |= {"memory": asdict(cost.memory) | {"fits": cost.memory.fits}, "disk": asdict(cost.disk)}
    return facts | {"data": {name: _source(cost, name) for name in cost.data.amounts}, "validation": cost.data.validation}


def _source(cost: Cost, name: str) -> Mapping[str, Any]:
    amount = cost.data.amounts[name]
    return {"comparisons": amount.rows, "known": amount.counted, "epoch": cost.data.epoch[name], "lengths": amount.measured,
            "assumed": amount.is_assumed, "dropped": cost.data.dropped.get(name, 0.0)}  # fmt: skip


def duration(hours: float) -> str:
    """Hours as people say them.

    >>> duration(0.05), duration(30.2), duration(100)
    ('3 minutes', '30.2 hours', '100 hours (4.2 days)')
    """
    if hours < 1:
        return counted(math.ceil(hours * 60), "minute")
    return f"{hours:,.3g} hours" + (f" ({hours / 24:.1f} days)" if hours > 48 else "")


def scaled(value: float) -> str:
    """Three digits and a letter.

    >>> scaled(1234567), scaled(12), scaled(2.5e12)
    ('1.23 M', '12', '2.5 T')
    """
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"

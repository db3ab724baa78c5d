"""`RunFiles` -> the sections of the page, one function for each, in their order. Nothing here reads files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basereward.report.document import layout, tiles
from basereward.report.evaluations import evaluations
from basereward.report.gallery_section import gallery_section
from basereward.report.markup import DASH, Html, folded, is_number, join, notice, number, percent, short, table, tag
from basereward.report.panel import Panel
from basereward.report.run_files import RunFiles
from basereward.report.training import training

# Config keys shown at a glance; the whole config follows folded.
HIGHLIGHTS = {
    "backbone": "backbone.path",
    "started from": "init_from",
    "learning rate": "optim.lr",
    "schedule": "optim.schedule",
    "warm-up": "optim.warmup",
    "precision": "optim.precision",
    "comparisons a step": "batch.size",
    "epochs": "run.epochs",
    "steps at most": "run.max_steps",
    "seed": "run.seed",
    "final weights": "run.final",
}


def sections(run: RunFiles, charts: Sequence[Panel], kind: str) -> Html:
    """Everything between the page's head and its end."""
    found = {
        "training": ("Training", training(run, charts)),
        "evaluations": ("Evaluations", evaluations(run)),
        "comparisons": ("Comparisons", gallery_section(run.gallery)),
        "data": ("Data", data(run)),
        "settings": ("Settings", settings(run)),
    }
    return layout(kind, run.name, found, tiles(*headline(run)), *notices(run))


def headline(run: RunFiles) -> list[tuple[str, str, str]]:
    """The numbers one looks for first, for `tiles`."""
    best_step, best = run.best or (None, None)
    asked = run.setting("run.max_steps")
    return [
        ("Best validation accuracy", percent(best), f"at step {best_step:,}" if run.best else "no validation"),
        ("Training loss", number(run.last("loss")), "last logged"),
        ("Steps", number(run.num_steps, 0), _of(asked) or f"{number(run.last('epoch'), 2)} epochs"),
        ("Comparisons per second", number(run.typical("comparisons_per_second"), 1), "median while training"),
        ("Tokens per second", short(run.typical("tokens_per_second")), "median while training"),
        ("Parameters", short(run.num_parameters), "of the final model" if run.num_parameters else "no final model"),
    ]


def _of(asked: object) -> str:
    return f"of {asked:,}" if is_number(asked) else ""


def notices(run: RunFiles) -> Iterator[Html]:
    """What a reader has to know before believing the rest."""
    if not run.is_finished:
        yield notice("This run is not finished: it has no final model.")
    for key, name in (("loss", "training loss"), ("eval_loss", "validation loss"), ("reward_mean", "mean reward")):
        if steps := run.not_numbers(key):
            yield notice(f"The {name} was not a number at {len(steps):,} logged steps, first at step {steps[0]:,}.")


def data(run: RunFiles) -> Html:
    """Where the rows came from, and where they went."""
    rows = [_source_row(name, source) for name, source in (run.manifest.get("sources") or {}).items()]
    rows += [_source_row(f"{name} (validation)", source) for name, source in (run.manifest.get("val_sources") or {}).items()]
    if not rows:
        return tag("p", "No data manifest.", class_="empty")
    parts = [table(("source", "rows read", "used", "dropped", "licence"), rows, caption="Data sources", numbers=(1, 2))]
    split = run.manifest.get("split") or {}
    if is_number(split.get("train")):
        sizes = f"{number(split['train'], 0)} comparisons to train on, {number(split.get('val'), 0)} to validate on."
        parts.append(tag("p", sizes, class_="hint"))
    return join(parts)


def _source_row(name: str, source: Mapping[str, Any]) -> tuple[object, ...]:
    dropped = source.get("dropped") or {}
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())
    if not reasons:
        reasons = "none" if "dropped" in source else DASH
    return (name, number(source.get("rows_read"), 0), number(source.get("used"), 0), reasons, source.get("licence") or DASH)


def settings(run: RunFiles) -> Html:
    """The choices at a glance, then the whole config and environment, folded."""
    shown = [(name, value) for name, key in HIGHLIGHTS.items() if (value := run.setting(key)) is not None]
    shown[1:1] = [(key, _part(node)) for key in ("head", "loss") if isinstance(node := run.setting(key), Mapping)]
    facts = (tag("div", tag("dt", name), tag("dd", value)) for name, value in shown)
    parts = [tag("dl", *facts, class_="facts")] if shown else []
    if run.config_text:
        parts.append(folded("config.yaml", tag("pre", run.config_text, tabindex="0")))
    if run.environment:
        rows = [(name, value) for name, value in _flat(run.environment)]
        parts.append(folded("Environment", table(("what", "value"), rows, caption="Environment")))
    return join(parts) if parts else tag("p", "No config.", class_="empty")


def _part(node: Mapping[str, Any]) -> str:
    """A config node as a call: MLPHead(num_layers=2)."""
    given = ", ".join(f"{key}={value}" for key, value in node.items() if key != "_target_" and value is not None)
    return f"{str(node.get('_target_', '')).rpartition('.')[2]}({given})"


def _flat(node: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield key, DASH if value is None else value

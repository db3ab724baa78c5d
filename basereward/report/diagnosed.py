"""What diagnostics say of one evaluation -> its charts and tables, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from basereward.report.altered import consistency, drift, length, styles
from basereward.report.bias import accuracy_by, calibration, distribution, lengths
from basereward.report.markup import Html, folded
from basereward.report.panel import Panel, figures
from basereward.report.run_files import Evaluation
from basereward.report.scored_pairs import MIN_PAIRS
from basereward.report.values import if_fits, values

# Kind of slice -> title of its chart, and what is said under it. Categories have a chart of their own.
SLICES = {
    "margin": ("Accuracy by margin",
               "How far apart the two rewards are. A model that knows what it does not know is right more often further down."),
    "length": ("Accuracy by length difference",
               "Characters by which the preferred answer is longer or shorter. Without a bias, both sides are as often right."),
    "source": ("Accuracy by source", ""),
    "label_margin": ("Accuracy by margin of the label", "How much better the data say that the better answer is."),
}  # fmt: skip


def _calibration(numbers: Mapping[str, Any]) -> Panel:
    return calibration({"": numbers})


PANELS = {"calibration": _calibration, "distribution": distribution}


def diagnosed(found: Evaluation) -> Iterator[Html]:
    """Everything that rewards alone show, then what `basereward diagnose` left."""
    yield from filter(None, _parts(found))
    if found.diagnostics:
        yield folded("Diagnostics as numbers", values(found.diagnostics, f"Diagnostics on {found.name}"))


def _parts(found: Evaluation) -> Iterator[Html | None]:
    findings = found.findings
    panels = [if_fits(make, findings[name]) for name, make in PANELS.items() if name in findings]
    if len(found.pairs) >= MIN_PAIRS:
        panels.append(lengths(found.pairs))
    yield figures([panel for panel in panels if panel is not None]) if any(panels) else None
    if "length" in findings:
        yield if_fits(length, findings["length"])
    for kind, (title, note) in SLICES.items():
        yield if_fits(_slices, kind, title, findings.get("slices") or {}, note)
    if "probes" in findings:
        yield if_fits(styles, {found.name: findings["probes"]})
    if "consistency" in findings:
        yield if_fits(consistency, findings["consistency"])
    if "drift" in findings:
        yield if_fits(drift, findings["drift"], findings.get("against"))


def _slices(kind: str, title: str, found: Mapping[str, Any], note: str) -> Html | None:
    return accuracy_by(kind, title, {"": found}, note)

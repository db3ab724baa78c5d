"""The files of a run -> ``report.html``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from basereward.records import Comparison
from basereward.report.curve import panels
from basereward.report.document import write_document
from basereward.report.gallery import gallery
from basereward.report.panel import svg_file
from basereward.report.run_files import GALLERY, read_run
from basereward.report.sections import sections
from basereward.runtime import write_bytes, write_json

PAGE = "report.html"
KIND = "basereward run"
CURVE = "training_curve.svg"


def write_report(
    run_dir: Path, comparisons: Sequence[Comparison], rewards: Sequence[np.ndarray], *, split: str = "validation"
) -> Path:
    """Stores what the page shows of the comparisons in ``report.json``, then makes the page.

    Args:
        run_dir: with whatever training has left there; nothing in it is required.
        comparisons: scored with the run's final model; a few of them are shown, pictures included.
        rewards: (N,) for each comparison.
        split: what the comparisons are: validation or training.

    Returns:
        The page's path.
    """
    run_dir = Path(run_dir)
    write_json(run_dir / GALLERY, gallery(comparisons, rewards, split=split))
    return render(run_dir)


def render(run_dir: Path) -> Path:
    """Makes ``training_curve.svg`` and ``report.html`` anew from the files of the run; returns the page's path."""
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    charts = panels(run)
    if charts:
        write_bytes(run_dir / CURVE, svg_file(charts))
    write_document(run_dir / PAGE, KIND, run.name, sections(run, charts, KIND))
    return run_dir / PAGE

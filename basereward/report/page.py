"""The files of a run -> ``report.html``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from basereward.records import Comparison
from basereward.report import curve
from basereward.report.document import write_document
from basereward.report.gallery import gallery
from basereward.report.run_files import GALLERY, read_run
from basereward.report.sections import sections
from basereward.report.training import Charts
from basereward.runtime import write_bytes, write_json

PAGE = "report.html"
KIND = "basereward run"
CURVE = "training_curve.png"


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
    """Makes ``training_curve.png`` and ``report.html`` anew from the files of the run; returns the page's path."""
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    body = sections(run, draw_charts(run_dir, curve.panels(run)), KIND)
    write_document(run_dir / PAGE, KIND, run.name, body)
    return run_dir / PAGE


def draw_charts(run_dir: Path, panels: Sequence[curve.Panel]) -> Charts:
    """Every chart for both colour schemes; all together go to ``training_curve.png``."""
    together = curve.draw(panels, curve.PAPER, columns=2) if panels else None
    if together is None:
        return Charts(panels, (), ())
    write_bytes(run_dir / CURVE, together)
    light, dark = ([curve.draw([panel], theme) for panel in panels] for theme in (curve.LIGHT, curve.DARK))
    return Charts(panels, light, dark)

"""The files of a run -> ``report.html``; those of several -> one page that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from basereward.records import Comparison
from basereward.report import comparison
from basereward.report.curve import panels
from basereward.report.document import page_script, write_document
from basereward.report.gallery import gallery
from basereward.report.panel import svg_file
from basereward.report.run_files import EVAL_GALLERY, GALLERY, read_run
from basereward.report.sections import sections
from basereward.runtime import write_bytes, write_json

PAGE = "report.html"
KIND, COMPARISON_KIND = "basereward run", "basereward comparison"
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


def write_gallery(folder: Path, comparisons: Sequence[Comparison], rewards: Sequence[Sequence[float] | None], name: str) -> None:
    """Stores what the page shows of a benchmark's items, ``gallery.json`` beside its results.

    Args:
        rewards: (N,) for each comparison; None where it could not be scored. Such a one is not shown, nor one without pairs,
            which is neither right nor wrong.
        name: of the benchmark.
    """
    scored = [
        (comparison, np.asarray(reward_N))
        for comparison, reward_N in zip(comparisons, rewards, strict=True)
        if reward_N is not None and comparison.pairs
    ]
    shown, known = zip(*scored) if scored else ((), ())
    write_json(folder / EVAL_GALLERY, gallery(shown, known, split=name))


def render(run_dir: Path, page: Path | None = None) -> Path:
    """Makes ``training_curve.svg`` and ``report.html``, or another page, anew from the files of the run; returns the page's path."""
    run_dir = Path(run_dir)
    run = read_run(run_dir)
    charts = panels(run)
    if charts:
        write_bytes(run_dir / CURVE, svg_file(charts))
    page = run_dir / PAGE if page is None else Path(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_document(page, KIND, run.name, sections(run, charts, KIND), script=page_script())
    return page


def render_comparison(runs: Mapping[str, Path], page: Path) -> Path:
    """Makes one page about several runs, by their names on it; returns its path."""
    found = {name: read_run(Path(run_dir)) for name, run_dir in runs.items()}
    title = ", ".join(found)
    page = Path(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_document(page, COMPARISON_KIND, title, comparison.sections(found, COMPARISON_KIND, title), script=page_script())
    return page

"""A run directory -> one page about it, ``report.html``, with ``training_curve.svg`` beside it.

The page is a function of files in the run directory alone: ``write_report`` first stores what only a model can give (a few scored
comparisons, in ``report.json``), ``render`` makes the page from that and from the files that training and evaluation leave.

gallery.py      comparisons and rewards -> report.json
run_files.py    a run directory -> RunFiles, everything the page shows, read once
curve.py        metrics -> charts
training.py     RunFiles and charts -> the section about training
cards.py        one entry of report.json -> its card
sections.py     RunFiles -> all sections of the page
entries.py      a comparison -> what a card shows of it, ready for JSON
prompt.py       pictures, turns and texts of a card -> HTML
document.py     sections -> one HTML file; these three and markup.py also make the page of ``basereward data show``
markup.py       text and tags -> HTML in which nothing from the data is markup
page.html       head, styles, and the place of the sections
"""

from __future__ import annotations

from basereward.report.page import PAGE, render, write_report
from basereward.report.run_files import EVAL

__all__ = ["EVAL", "PAGE", "render", "write_report"]

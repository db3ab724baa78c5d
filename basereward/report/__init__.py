"""A run directory -> one page about it, ``report.html``, with ``training_curve.svg`` beside it.

The page is a function of files in the run directory alone: ``write_report`` first stores what only a model can give (a few scored
comparisons, in ``report.json``), ``render`` makes the page from that and from the files that training and evaluation leave.

gallery.py          comparisons and rewards -> report.json, or gallery.json of an evaluation
run_files.py        a run directory -> RunFiles, everything the page shows, read once
scored_pairs.py     diagnostics.json, or rewards alone -> findings; pairs by length
svg.py              numbers -> one chart; its colours stand in charts.css
panel.py            charts with titles and legends -> figures of a page, or one SVG file
bars.py             shares or differences with intervals -> bars in plain HTML
curve.py            metrics -> charts over steps, of one run or several
bias.py             findings -> charts of calibration, rewards and lengths, accuracy by slices
altered.py          findings -> bars of styles; the same written otherwise, length, drift
best_of_n.py        curves over N -> charts
diagnosed.py        the findings of one evaluation -> their part of its section
published_rows.py   results -> models of ours among published rows
paired.py           an evaluation against another -> bars and a table
training.py         RunFiles and charts -> the section about training
evaluations.py      the evaluations of a run -> their section
values.py           any JSON -> tables
cards.py            one entry of a gallery -> its card
gallery_section.py  a gallery -> cards, with tools to filter and sort them
mistakes.py         several runs -> who is right where
sections.py         RunFiles -> all sections of the page
comparison.py       several RunFiles -> all sections of one page
entries.py          a comparison -> what a card shows of it, ready for JSON
prompt.py           pictures, turns and texts of a card -> HTML
document.py         sections -> one HTML file; these three and markup.py also make the page of ``basereward data show``
markup.py           text and tags -> HTML in which nothing from the data is markup
page.html, page.js  head, styles, and the place of the sections; sorting and filtering
"""

from __future__ import annotations

from basereward.report.page import COMPARISON_KIND, KIND, PAGE, render, render_comparison, write_gallery, write_report

__all__ = ["COMPARISON_KIND", "KIND", "PAGE", "render", "render_comparison", "write_gallery", "write_report"]

"""The results of a grid -> table.csv, table.md, table.tex, and one page.

words.py    numbers -> the sentences that say who wins and whether that is noise
columns.py  results -> one row for each setting, as text; and one for each setting, benchmark and category, as numbers
files.py    rows -> CSV, Markdown and LaTeX
forest.py   differences with intervals -> a forest plot as SVG
charts.py   numbers -> charts: settings against the baseline, effects of factors, lines over numbers, courses of training
crossed.py  two factors -> a heat map; shares of data -> bars
page.py     everything -> report.html
paper.py    published tables -> a Markdown page with plots, without items and seeds
"""

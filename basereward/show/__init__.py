"""The rows of data sources -> one HTML page: a sample to look at, and what all rows look like in numbers.

rows.py           a recipe -> its comparisons, one after another, and the account of the rows that are left out
sample.py         comparisons -> a few of them, spread over categories, without holding the rest
prompts.py        comparisons -> which prompts come more than once
statistics.py     comparisons -> counts of lengths, sizes, turns, margins
source.py         a recipe -> all of these, in one pass
cards.py          a comparison with its label -> HTML
charts.py         counts -> bars
sections.py       sources -> the sections of the page
"""

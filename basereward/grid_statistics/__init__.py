"""Right and wrong of settings, seeds and items -> means, differences, intervals, and how sure a winner is.

moments.py     right and wrong -> means, and the covariance of them over seeds and prompts
contrasts.py   means -> differences with intervals, each by itself and all together
best.py        means -> which setting is the best, and how sure one can be
trends.py      means -> effects of single factors, and a line over a factor that is a number
comparison.py  settings on one benchmark -> everything that a table says of them
proportions.py published percentages -> counts, and what can be said of them without items

The method, and how often its intervals hold: docs/decisions/0025.
"""

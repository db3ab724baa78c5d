"""Benchmarks: comparisons with known preferences, their counts, and what is printed of a model's rewards on them."""

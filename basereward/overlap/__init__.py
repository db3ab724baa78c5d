"""Which training comparisons stand in a benchmark too."""

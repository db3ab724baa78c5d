"""Sources that were read once: comparisons in memory-mapped Arrow shards, one folder per source."""

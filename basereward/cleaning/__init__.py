"""Which comparisons are left out before training, and why."""

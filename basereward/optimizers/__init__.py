"""Optimizers: one file each; ``rounding`` holds what the two for bfloat16 weights share."""

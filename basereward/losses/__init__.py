"""Losses over rewards: (R,) float32 rewards and the labels of their comparisons -> one loss per comparison (C,)."""

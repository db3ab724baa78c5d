"""Losses over rewards: (R,) float32 rewards and the pairs among them -> one loss per comparison (C,)."""

"""Reward heads: the pooled state of a response -> one float32 reward. One head is one file and one YAML."""

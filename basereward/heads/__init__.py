"""Reward heads: the hidden state of a response's last token -> one float32 reward. One head is one file and one YAML."""

"""Pooling: the hidden states of a response's tokens -> one float32 vector. One pooling is one file and one YAML."""

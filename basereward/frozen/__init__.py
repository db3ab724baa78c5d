"""What a frozen model computes again and again, kept on disk: image features, and the pooled states of responses."""

"""One file for each kind of row: what `kind` in cases.yaml names."""

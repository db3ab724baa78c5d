"""What screening works out of a row or a picture by itself: as arrays, computed once for a prepared source and kept beside its shards."""

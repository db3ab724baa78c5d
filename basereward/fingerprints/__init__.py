"""What stays the same when a text or a picture is copied with small changes: keys, MinHash signatures, perceptual hashes."""

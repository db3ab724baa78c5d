"""Many texts -> pairs of near duplicates: MinHash signatures, banded (locality-sensitive hashing), then compared.

The share of equal numbers in two signatures estimates the Jaccard similarity of two texts' sets of shingles, here all runs of
`SHINGLE` bytes; its standard error is sqrt(s (1 - s) / NUM_HASHES), 0.035 at s = 0.8. Broder 1997, "On the resemblance and
containment of documents"; bands as in Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from basereward.fingerprints.buckets import bucket_pairs

NUM_HASHES = 128
SHINGLE = 8
"""Bytes: about a word and a half of English, near three characters of Chinese; no language needs its own splitting."""
RECALL = 0.99
"""Of the pairs exactly at the threshold that must share a band; above it more do."""

_RNG = np.random.default_rng(20210)
_FACTORS = _RNG.integers(0, 1 << 31, NUM_HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_OFFSETS = _RNG.integers(0, 1 << 32, NUM_HASHES, dtype=np.uint32)
_BLOCK = 2048


def signature(texts: Sequence[bytes]) -> np.ndarray:
    """The signature of the union of the texts' shingles, so that their order does not count.

    Args:
        texts: from `fingerprints.text.spaced`.

    Returns:
        (NUM_HASHES,), uint16: the lower halves of the minima, 2 bytes each; two unequal minima agree in them once in 65,536.
    """
    hashes = np.unique(np.concatenate([_shingles(text) for text in texts]))
    least = np.full(NUM_HASHES, np.iinfo(np.uint32).max, dtype=np.uint32)
    for start in range(0, len(hashes), _BLOCK):
        values = hashes[start : start + _BLOCK, None] * _FACTORS + _OFFSETS
        np.minimum(least, values.min(axis=0), out=least)
    return least.astype(np.uint16)


def similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Estimated Jaccard similarity of signatures along the last axis: (..., NUM_HASHES) -> (...)."""
    return (first == second).mean(axis=-1)


def bands_for(threshold: float) -> tuple[int, int]:
    """(bands, rows of each): the longest rows, so the fewest chance candidates, that still find `RECALL` of pairs at the threshold.

    >>> bands_for(0.8), bands_for(0.5)
    ((21, 6), (42, 3))
    """
    rows = max((r for r in range(1, NUM_HASHES + 1) if 1 - (1 - threshold**r) ** (NUM_HASHES // r) >= RECALL), default=1)
    return NUM_HASHES // rows, rows


def near_pairs(signatures: np.ndarray, threshold: float) -> np.ndarray:
    """Pairs of signatures that are candidates for `threshold`, to be confirmed with `similarity`.

    Args:
        signatures: (N, NUM_HASHES), uint16.

    Returns:
        (P, 2), int64, as `buckets.bucket_pairs` gives them.
    """
    return bucket_pairs(_band_keys(signatures, threshold))


def _shingles(text: bytes) -> np.ndarray:
    """(n,) uint32 hashes of all runs of SHINGLE bytes; a shorter text is one run, filled up with spaces."""
    bytes_n = np.frombuffer(text.ljust(SHINGLE), dtype=np.uint8)
    runs = np.lib.stride_tricks.sliding_window_view(bytes_n, SHINGLE)
    return (mixed(np.ascontiguousarray(runs).view("<u8").ravel()) >> np.uint64(32)).astype(np.uint32)


def mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), which spreads every bit of a uint64 over all others."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _band_keys(signatures: np.ndarray, threshold: float) -> Iterator[np.ndarray]:
    """(N,) uint64 for each band: its rows, hashed together."""
    bands, rows = bands_for(threshold)
    for band in range(bands):
        key = np.zeros(len(signatures), dtype=np.uint64)
        for row in range(band * rows, (band + 1) * rows):
            key = mixed(key + signatures[:, row].astype(np.uint64) + np.uint64(1))
        yield key

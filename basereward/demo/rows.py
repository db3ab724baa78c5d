"""A split, a number and a seed -> the rows of the demo, or their comparisons."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from basereward.demo.pictures import SPLITS
from basereward.demo.questions import KINDS, TEXT_KINDS, Row
from basereward.errors import ConfigError, near_matches
from basereward.records import Comparison, parse_row

DEMO_KINDS: Mapping[str, float] = {
    "colour": 0.8, "shape": 1.3, "count": 1.3, "two_pictures": 1.0, "ranking": 1.0, "text": 0.25,
}  # fmt: skip
"""The kinds that a tiny model learns in the demo's minutes, with their shares: more of what takes it longer."""
IMAGE_KINDS: Mapping[str, float] = {name: 1.0 for name in DEMO_KINDS if name not in TEXT_KINDS}
"""The demo's kinds that need the picture, in equal shares: what the held-out accuracy is measured on."""
LONG_KINDS: Mapping[str, float] = {
    **DEMO_KINDS,
    "more_dots": 1.0,
    "of_two": 1.0,
    "which_picture": 1.0,
    "position": 1.0,
    "relation": 1.0,
}
"""The kinds of `demo_long`."""


def make_rows(split: str, n: int, seed: int = 0, *, kinds: Mapping[str, float] | None = None) -> Iterator[Row]:
    """Rows in the spelling of a data file (messages, images, responses, ranks, id, category), images as PNG bytes.

    Args:
        split: train, val or test. No picture of one is in another, whatever the seeds.
        n: How many rows; about 5,000 are drawn in a second.
        seed: The same arguments give the same rows, byte for byte.
        kinds: Kind -> its share, `DEMO_KINDS` by default; each gets exactly its part of `n`, rounded.

    Raises:
        ConfigError: an unknown split or kind, or shares that sum to nothing.
    """
    shares = dict(DEMO_KINDS if kinds is None else kinds)
    _check(split, shares)
    rng = random.Random(f"{split} {seed}")
    names = _names(n, shares)
    rng.shuffle(names)
    for index, name in enumerate(names):
        yield KINDS[name](rng, split) | {"id": f"demo-{split}-{seed}-{index}", "category": name}


def make_comparisons(split: str, n: int, seed: int = 0, *, kinds: Mapping[str, float] | None = None) -> list[Comparison]:
    """`make_rows` as comparisons; the kind is their `category`."""
    rows = make_rows(split, n, seed=seed, kinds=kinds)
    return [parse_row(row, where=f"demo/{split}:{index}", source="demo") for index, row in enumerate(rows, 1)]


def _names(n: int, shares: Mapping[str, float]) -> list[str]:
    """`n` kinds, each as often as its share says; what rounding down leaves over goes to the largest remainders."""
    total = sum(shares.values())
    exact = {name: n * share / total for name, share in shares.items()}
    counts = {name: int(number) for name, number in exact.items()}
    for name in sorted(shares, key=lambda name: counts[name] - exact[name])[: n - sum(counts.values())]:
        counts[name] += 1
    return [name for name, number in counts.items() for _ in range(number)]


def _check(split: str, shares: Mapping[str, float]) -> None:
    if split not in SPLITS:
        raise ConfigError(f"split: expected train, val or test; found {split!r}; {near_matches(split, SPLITS)}")
    for name, share in shares.items():
        if name not in KINDS:
            raise ConfigError(f"kinds.{name}: no such kind of question; {near_matches(name, KINDS)}")
        if share < 0:
            raise ConfigError(f"kinds.{name}: expected a share of at least 0; found {share}; use 0 to leave the kind out")
    if sum(shares.values()) <= 0:
        raise ConfigError(f"kinds: expected at least one kind with a share above 0; found {dict(shares)}; name one")

"""Comparisons, one after another -> a few of them, spread over sources and categories, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from basereward.records import Comparison

# Categories that are drawn from apart; the rows of all others share one more reservoir, so that memory stays bounded.
MAX_STRATA = 32
_OTHERS = ("", "")


@dataclass
class Reservoir:
    """At most `size` items, each subset of what was added equally likely."""

    size: int
    rng: random.Random
    seen: int = 0
    items: list[Comparison] = field(default_factory=list)

    def add(self, item: Comparison) -> None:
        """Keeps the k-th item with probability size / k, in the place of one that was kept before (Vitter's algorithm R)."""
        self.seen += 1
        if len(self.items) < self.size:
            self.items.append(item)
        elif (place := self.rng.randrange(self.seen)) < self.size:
            self.items[place] = item

    def shuffled(self) -> list[Comparison]:
        """In random order: the place in a reservoir depends on when an item came."""
        return self.rng.sample(self.items, len(self.items))


class Sample:
    """Draws `size` comparisons; holds at most `size` of each of `MAX_STRATA` + 1 groups."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self.strata: dict[tuple[str, str], Reservoir] = {}

    def add(self, item: Comparison) -> None:
        """Offers one comparison."""
        key = (own_source(item), item.category)
        if key not in self.strata and len(self.strata) >= MAX_STRATA:
            key = _OTHERS
        if key not in self.strata:
            self.strata[key] = Reservoir(self.size, random.Random(f"{self.seed} {key}"))
        self.strata[key].add(item)

    def take(self) -> list[Comparison]:
        """One of each group, in an order drawn from the seed, then a second of each, and so on."""
        waiting = [self.strata[key].shuffled() for key in sorted(self.strata)]
        random.Random(self.seed).shuffle(waiting)
        taken = []
        while len(taken) < self.size and any(waiting):
            taken += [members.pop() for members in waiting if members]
        return taken[: self.size]


def own_source(item: Comparison) -> str:
    """The source that the row itself names; that of the config when it names none."""
    return str(item.meta.get("source") or item.source)

"""Comparisons of several sources as one sequence, and the facts about them that can be had without reading their texts.

A source is a `Listed` (in memory) or a `Stored` (`basereward.store.stored`, read from disk when asked for); both give the same facts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from basereward.fingerprints.contents import Contents
from basereward.losses.base import Sourced
from basereward.records import Comparison, without_images
from basereward.split import new_names

Change = Callable[[Comparison], Comparison]


class Part(Protocol):
    """The comparisons of one source. Arrays have one entry for each."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Comparison: ...

    def ids(self) -> Sequence[str]:
        """Names, not yet unique."""
        ...

    def groups(self) -> np.ndarray:
        """(n,) 32 bytes that comparisons share whose prompts are the same and whose pictures have the same content."""
        ...

    def num_pairs(self) -> np.ndarray:
        """(n,) int."""
        ...

    def num_images(self) -> np.ndarray:
        """(n,) int."""
        ...

    def preferences(self) -> Iterable[Sourced]:
        """What a loss asks of the data, in order."""
        ...


class Listed(list[Comparison]):
    """Comparisons that were read directly; pictures that are files are read again, each once, when groups are first asked for."""

    def __init__(self, comparisons: Iterable[Comparison] = ()):
        super().__init__(comparisons)
        self._contents = Contents()

    def ids(self) -> Sequence[str]:
        """Names, not yet unique."""
        return [item.id for item in self]

    def groups(self) -> np.ndarray:
        """(n,) 32 bytes."""
        self._contents.look(ref for item in self for ref in item.images)
        return np.array([item.group_by(self._contents.name) for item in self], dtype="S32")

    def num_pairs(self) -> np.ndarray:
        """(n,) int."""
        return np.array([len(item.pairs) for item in self], dtype=np.int64)

    def num_images(self) -> np.ndarray:
        """(n,) int."""
        return np.array([len(item.images) for item in self], dtype=np.int64)

    def preferences(self) -> Iterable[Sourced]:
        """The comparisons."""
        return self


class WithoutImages:
    """A part whose comparisons have lost their pictures; the facts by which it is split and named are those of the whole ones."""

    def __init__(self, part: Part):
        self.part = part
        self.ids, self.groups = part.ids, part.groups
        self.num_pairs, self.preferences = part.num_pairs, part.preferences

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> Comparison:
        return without_images(self.part[index])

    def num_images(self) -> np.ndarray:
        """(n,) zeros."""
        return np.zeros(len(self), dtype=np.int64)


class View:
    """Some comparisons of a part.

    Args:
        name: of the source. part: where they are. rows: which, ascending. names: row -> an id that replaces its own.
        change: what is done to each when it is asked for; it leaves its texts and images as they are.
    """

    def __init__(
        self,
        name: str,
        part: Part,
        rows: np.ndarray | None = None,
        names: dict[int, str] | None = None,
        change: Change | None = None,
    ):
        self.name, self.part, self.names, self.change = name, part, names or {}, change
        self.rows = np.arange(len(part)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Comparison:
        row = int(self.rows[index])
        item = self.part[row]
        item = replace(item, id=self.names[row]) if row in self.names else item
        return self.change(item) if self.change is not None else item

    def ids(self) -> Iterator[str]:
        """Names, not yet unique."""
        names = self.part.ids()
        return (names[row] for row in self.rows)

    def take(self, chosen: np.ndarray) -> View:
        """Those of its comparisons where ``chosen`` (a mask or indices) says so."""
        return View(self.name, self.part, self.rows[chosen], self.names, self.change)


class Comparisons(Sequence[Comparison]):
    """The comparisons of several sources, one source after another; nothing is copied."""

    def __init__(self, views: Sequence[View]):
        self.views = list(views)
        self.starts = np.cumsum([0, *map(len, self.views)])

    @classmethod
    def of(cls, comparisons: Iterable[Comparison]) -> Comparisons:
        """Comparisons in memory, by source."""
        sources: dict[str, Listed] = {}
        for item in comparisons:
            sources.setdefault(item.source, Listed()).append(item)
        return cls([View(name, part) for name, part in sources.items()])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int | slice) -> Comparison | list[Comparison]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        k = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.views[k][index - int(self.starts[k])]

    def __iter__(self) -> Iterator[Comparison]:
        for view in self.views:
            yield from (view[i] for i in range(len(view)))

    def take(self, chosen: np.ndarray) -> Comparisons:
        """Those where the (n,) mask says so."""
        return Comparisons([view.take(chosen[a:b]) for view, a, b in zip(self.views, self.starts, self.starts[1:])])

    def map(self, change: Change) -> Comparisons:
        """Each changed when it is asked for."""
        return Comparisons([View(view.name, view.part, view.rows, view.names, change) for view in self.views])

    def without_images(self) -> Comparisons:
        """Each without its pictures."""
        return Comparisons([View(v.name, WithoutImages(v.part), v.rows, v.names, v.change) for v in self.views])

    def sums(self, values: np.ndarray) -> list[int]:
        """Of an (n,) array, for each source."""
        return [int(values[a:b].sum()) for a, b in zip(self.starts, self.starts[1:])]

    def groups(self) -> np.ndarray:
        """(n,) 32 bytes."""
        return self._facts("groups", "S32")

    def num_pairs(self) -> np.ndarray:
        """(n,) int."""
        return self._facts("num_pairs", np.int64)

    def num_images(self) -> np.ndarray:
        """(n,) int."""
        return self._facts("num_images", np.int64)

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """Source -> how many of its comparisons are here."""
        return {view.name: len(view) for view in self.views}

    def preferences(self) -> Iterator[Sourced]:
        """What a loss asks of the data, in order; of stored comparisons no text is read, unless they are changed."""
        for view in self.views:
            if view.change is not None:
                yield from (view[i] for i in range(len(view)))
                continue
            kept = np.zeros(len(view.part), dtype=bool)
            kept[view.rows] = True
            yield from (item for item, keep in zip(view.part.preferences(), kept) if keep)

    def _facts(self, name: str, dtype: object) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype), *(getattr(view.part, name)()[view.rows] for view in self.views)])


def named(comparisons: Comparisons) -> Comparisons:
    """The same with a #2, #3, ... after an id that came before."""
    names = new_names(name for view in comparisons.views for name in view.ids())
    views, first = [], 0
    for view in comparisons.views:
        own = {int(view.rows[k - first]): name for k, name in names.items() if first <= k < first + len(view)}
        views.append(View(view.name, view.part, view.rows, own))
        first += len(view)
    return Comparisons(views)

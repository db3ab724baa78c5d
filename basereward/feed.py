"""Comparisons -> packs for scoring, made ahead of the model: image files read once, texts tokenized together, pictures cut by threads.

A window of comparisons is dealt into packs together. One thread reads the next window while packs are made of this one, another
makes packs while the model computes those before; each waits when it is far enough ahead, so that memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from basereward.background import decoding_threads, in_background, mapped_ahead
from basereward.encode import Encoded, Encoder
from basereward.errors import DataError
from basereward.images import ImageFile, hold, image_size
from basereward.packing import Pack, collate
from basereward.planner import plan_packs
from basereward.prefix_keys import in_rows
from basereward.records import Comparison

# Comparisons that are dealt into packs together: enough to fill packs, few enough to hold in memory.
WINDOW = 256
# Bytes of image files after which a window ends; up to three windows are in memory.
HELD_BYTES = 128 * 2**20
PACKS_AHEAD = 2


@dataclass
class Window:
    """Comparisons that are dealt into packs together.

    Attributes:
        comparisons: in order, their image files in memory; an error that was caught in the place of one.
        encoded: number -> ids and positions of those that can be scored, without pixels.
    """

    comparisons: list[Comparison | Exception]
    encoded: dict[int, Encoded]


@dataclass
class Load:
    """What is computed in one go: one pack of several comparisons, or one comparison in several packs that share its prefix.

    Attributes:
        members: numbers in the window, in the order of the packs' rewards; responses of each of them in ``counts``.
        failed: number -> what is wrong with a comparison that was to be among them.
        last: no further load of this window follows.
    """

    window: Window
    members: list[int]
    counts: list[int]
    packs: list[Pack]
    failed: dict[int, Exception]
    last: bool


class Feed:
    """Makes packs of comparisons.

    Args:
        token_budget: tokens of a pack. max_length: tokens of the longest prefix + response; ``None`` for no limit.
        catch: errors of one comparison that take its place; others are raised.
        pin: into page-locked memory, from which a device copies without waiting.
        window: comparisons that are dealt together.
    """

    def __init__(
        self, encoder: Encoder, *, token_budget: int, max_length: int | None, catch: tuple[type[Exception], ...], pin: bool, window: int
    ):  # fmt: skip
        self.encoder, self.token_budget, self.max_length = encoder, token_budget, max_length
        self.catch, self.pin, self.window = catch, pin, window
        self.threads = decoding_threads()

    def loads(self, comparisons: Iterable[Comparison]) -> Iterator[Load]:
        """All of them, window after window; the comparisons are taken from their iterator by a thread."""
        return in_background(self._loads(in_background(self._windows(comparisons), depth=1)), PACKS_AHEAD)

    def _windows(self, comparisons: Iterable[Comparison]) -> Iterator[Window]:
        with ThreadPoolExecutor(self.threads) as pool:
            read = mapped_ahead(self._held, comparisons, pool, most=2 * self.threads)
            while members := list(_until_full(read, self.window)):
                yield self._encoded(members)

    def _held(self, comparison: Comparison) -> Comparison | Exception:
        return attempt(_in_memory, comparison, self.catch)

    def _encoded(self, members: list[Comparison | Exception]) -> Window:
        readable = [i for i, item in enumerate(members) if not isinstance(item, Exception)]
        encoded = zip(readable, self.encoder.encode_all([members[i] for i in readable]))
        found = {i: attempt(self._short_enough, (members[i], item), self.catch) for i, item in encoded}
        for i, item in found.items():
            if isinstance(item, Exception):
                members[i] = item
        return Window(members, {i: item for i, item in found.items() if not isinstance(item, Exception)})

    def _short_enough(self, pair: tuple[Comparison, Encoded]) -> Encoded:
        comparison, encoded = pair
        if self.max_length is not None and encoded.lengths.longest > self.max_length:
            raise DataError(
                f"{comparison.where or comparison.id}: expected at most {self.max_length} tokens, found {encoded.lengths.longest} in its "
                "longest prefix + response; shorten it or use smaller pictures (the limit: max_length, or the model's positions)"
            )
        return encoded

    def _loads(self, windows: Iterator[Window]) -> Iterator[Load]:
        with ThreadPoolExecutor(self.threads) as pool, closing(windows):
            for window in windows:
                plan = self._plan(window)
                cut = mapped_ahead(lambda i, window=window: self._cut(window, i), chain(*plan), pool, most=2 * self.threads)
                for number, members in enumerate(plan, 1):
                    yield self._load(window, dict(zip(members, cut)), last=number == len(plan))
                if not plan:
                    yield Load(window, [], [], [], {}, last=True)

    def _plan(self, window: Window) -> list[list[int]]:
        numbers = list(window.encoded)
        packs = plan_packs([window.encoded[i].lengths.packed for i in numbers], self.token_budget)
        return [[numbers[k] for k in members] for members in packs]

    def _cut(self, window: Window, number: int) -> Encoded | Exception:
        """With its pixels, or what is kept in their place."""
        images = window.comparisons[number].images
        return attempt(lambda item: self.encoder.completed(item, images), window.encoded[number], self.catch)

    def _load(self, window: Window, cut: dict[int, Encoded | Exception], *, last: bool) -> Load:
        failed = {i: item for i, item in cut.items() if isinstance(item, Exception)}
        usable = {i: item for i, item in cut.items() if i not in failed}
        packs = [collate(row, self.encoder.patch_settings) for row in self._rows(list(usable.values()))]
        packs = [pack.pin_memory() for pack in packs] if self.pin else packs
        return Load(window, list(usable), [item.num_responses for item in usable.values()], packs, failed, last)

    def _rows(self, items: Sequence[Encoded]) -> list[Sequence[Encoded]]:
        """One row of several comparisons, or one comparison in as many as it takes."""
        if len(items) == 1:
            return [[row] for row in in_rows(items[0], self.token_budget)]
        return [items] if items else []


def _until_full(comparisons: Iterator[Comparison | Exception], window: int) -> Iterator[Comparison | Exception]:
    """The next comparisons, up to a window's number and bytes."""
    held = 0
    for item in islice(comparisons, window):
        yield item
        images = () if isinstance(item, Exception) else item.images
        held += sum(len(image) for image in images if isinstance(image, ImageFile))
        if held >= HELD_BYTES:
            return


def _in_memory(comparison: Comparison) -> Comparison:
    """The comparison with its image files read, and their headers looked at."""
    images = tuple(map(hold, comparison.images))
    for image in images:
        image_size(image)
    return replace(comparison, images=images)


def attempt(function: Callable, item: Any, catch: tuple[type[Exception], ...]):
    """``function(item)``, or the error it raised where that is to be caught."""
    try:
        return function(item)
    except catch as error:
        return error

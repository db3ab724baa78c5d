"""Work done in threads ahead of the one who waits for it: in order, a bounded number of items under way, errors where they belong.

Pillow, numpy, file systems and tokenizers let go of the interpreter's lock while they work, so threads are enough here, and nothing
has to be copied between processes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def decoding_threads() -> int:
    """Threads that decode pictures: one for each core, but no more than a disk and a device have use for."""
    return min(8, os.cpu_count() or 1)


def in_background(items: Iterable[Out], depth: int) -> Iterator[Out]:
    """The items, taken from their iterator by a thread: up to ``depth`` of them before they are asked for.

    An exception of the iterator is raised in its item's place. When this generator is closed, the iterator is closed too.
    """
    iterator, end = iter(items), object()
    waiting: deque[Future] = deque()
    try:
        with ThreadPoolExecutor(max_workers=1) as thread, cancelled(waiting):
            waiting.extend(thread.submit(next, iterator, end) for _ in range(depth))
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, iterator, end))
                yield item
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


def mapped_ahead(function: Callable[[In], Out], items: Iterable[In], pool: ThreadPoolExecutor, most: int) -> Iterator[Out]:
    """``map`` by the threads of a pool, in order, with at most ``most`` items begun before they are asked for."""
    waiting: deque[Future] = deque()
    with cancelled(waiting):
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def cancelled(waiting: deque[Future]) -> Iterator[None]:
    """What is still in the queue when the block ends is not begun any more."""
    try:
        yield
    finally:
        for future in waiting:
            future.cancel()

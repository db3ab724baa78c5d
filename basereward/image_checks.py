"""The images of a stream of comparisons, decoded several at a time and in order; a bounded number of them is under way."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from basereward.images import ImageError, check_image, image_key

_AHEAD = 64
_REMEMBERED = 16_384


class HasImages(Protocol):
    """A comparison, or a row on its way to become one."""

    @property
    def images(self) -> Sequence[object]:
        """Paths, bytes or pictures."""


Item = TypeVar("Item", bound=HasImages)


def with_image_errors(items: Iterable[Item]) -> Iterator[tuple[Item, list[ImageError]]]:
    """Each item, in order, with what is wrong with its images; an image used by neighbours is decoded once."""
    known: OrderedDict[str, Future] = OrderedDict()
    waiting: deque[tuple[Item, list[Future]]] = deque()
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for item in items:
            waiting.append((item, [_result(ref, known, pool) for ref in item.images]))
            while waiting and (len(waiting) > _AHEAD or not waiting[0][1]):
                yield _with_errors(*waiting.popleft())
        while waiting:
            yield _with_errors(*waiting.popleft())


def _result(ref: object, known: OrderedDict[str, Future], pool: ThreadPoolExecutor) -> Future:
    key = image_key(ref)
    if key not in known:
        known[key] = pool.submit(_error, ref)
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
    return known[key]


def _with_errors(item: Item, results: list[Future]) -> tuple[Item, list[ImageError]]:
    return item, [error for result in results if (error := result.result()) is not None]


def _error(ref: object) -> ImageError | None:
    try:
        check_image(ref)
    except ImageError as error:
        return error
    return None

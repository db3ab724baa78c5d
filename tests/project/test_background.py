"""Work done ahead: in order, bounded, with its errors in their place, and no thread left behind."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from basereward.background import in_background, mapped_ahead


def counted(taken: list[int], count: int = 20):
    """0, 1, ..., noted when they are taken; and that the iterator was closed."""
    try:
        for i in range(count):
            taken.append(i)
            yield i
    finally:
        taken.append(-1)


def settled(taken: list[int]) -> int:
    """How many items were taken, once nothing more is."""
    before = -1
    while before != len(taken):
        before = len(taken)
        time.sleep(0.05)
    return before


@pytest.mark.parametrize("depth", [1, 3])
def test_items_come_in_order_and_no_more_than_the_depth_ahead(depth):
    taken: list[int] = []
    items = in_background(counted(taken), depth)
    assert next(items) == 0 and settled(taken) == depth + 1
    assert list(items) == list(range(1, 20)) and taken[-1] == -1


def test_what_is_not_asked_for_any_more_is_not_taken_and_the_thread_ends():
    taken: list[int] = []
    before = threading.active_count()
    source = counted(taken)
    items = in_background(source, 2)
    next(items)
    items.close()
    assert taken[-1] == -1 and len(taken) <= 4 and threading.active_count() == before


def test_an_error_comes_where_its_item_would():
    def broken():
        yield 1
        raise ValueError("second")

    items = in_background(broken(), 3)
    assert next(items) == 1
    with pytest.raises(ValueError, match="second"):
        next(items)


def test_a_map_by_threads_keeps_the_order_and_the_bound():
    taken: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        found = mapped_ahead(lambda i: (time.sleep(0.002 * (i % 3)), i)[1], counted(taken), pool, most=5)
        assert next(found) == 0 and taken == list(range(6))
        assert list(found) == list(range(1, 20))

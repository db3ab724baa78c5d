"""How many processes decode pictures when the config leaves it open."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from basereward import workers
from basereward.workers import pick_workers

GIB = 2**30


def dataset(images: list[int], tokens: float = 1024) -> Sized:
    """As many comparisons as numbers of images, each of so many tokens: 3 MiB of pixels for 1,024."""
    comparisons = SimpleNamespace(num_images=lambda: np.array(images))
    lengths = SimpleNamespace(packed=np.full(len(images), tokens))
    return Sized(comparisons=comparisons, lengths=lengths)


class Sized(SimpleNamespace):
    def __len__(self) -> int:
        return len(self.lengths.packed)


@pytest.mark.parametrize(
    ("cores", "ranks", "shared", "expected"),
    [(2, 1, 64 * GIB, 1), (1, 1, 64 * GIB, 1), (16, 1, 64 * GIB, 8), (16, 4, 64 * GIB, 3), (16, 1, GIB, 1), (16, 1, GIB // 16, 0),
     (16, 1, 4 * GIB, 5)],
)  # fmt: skip
def test_cores_ranks_and_shared_memory_decide(monkeypatch, cores, ranks, shared, expected):
    """Steps of 64 x 3 MiB, 2 in each worker's hands: 384 MiB a worker, in half of the shared memory."""
    monkeypatch.setattr(workers.os, "cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    monkeypatch.setattr(workers, "_shared_memory", lambda: shared)
    assert pick_workers(None, dataset([1] * 100), 64) == expected


def test_none_without_pictures_and_what_is_asked_for():
    assert pick_workers(None, dataset([0] * 9), 4) == 0
    assert pick_workers(0, dataset([1]), 4) == 0 and pick_workers(5, dataset([0]), 4) == 5

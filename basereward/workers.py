"""How many processes decode pictures ahead of the device when the config leaves it open."""

from __future__ import annotations

import logging
import os
import shutil

from basereward.batches import STEPS_PER_WORKER, EncodedDataset

MOST = 8
"""Beyond that they wait for each other: 8 decode, resize and cut some 470 pictures of a megapixel each second."""
BYTES_PER_TOKEN = 3 * 32 * 32
"""Pixels of an image token, in the family with the largest."""
SHARED_MEMORY = "/dev/shm"

log = logging.getLogger(__name__)


def pick_workers(asked: int | None, dataset: EncodedDataset, batch_size: int) -> int:
    """What was asked for; else one for each core but that of the device's process, none where there are no pictures.

    Steps wait for their turn in shared memory, of which containers may have little: no more workers than half of it holds steps.

    Args:
        asked: ``batch.workers``. batch_size: comparisons of a step of this process.
    """
    if asked is not None:
        return asked
    if not len(dataset) or not dataset.comparisons.num_images().any():
        return 0
    cores = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fits = _shared_memory() // 2 // (STEPS_PER_WORKER * step_bytes(dataset, batch_size))
    workers = min(MOST, max(1, cores - 1), fits)
    log.info("batch.workers: %d, for %d cores and %.1f GiB of shared memory", workers, cores, _shared_memory() / 2**30)
    return workers


def step_bytes(dataset: EncodedDataset, batch_size: int) -> int:
    """Bytes of a step, at most: as if all tokens were a picture's."""
    return max(1, round(min(batch_size, len(dataset)) * float(dataset.lengths.packed.mean()) * BYTES_PER_TOKEN))


def _shared_memory() -> int:
    """Free bytes of it; plenty where the system has no such place."""
    return shutil.disk_usage(SHARED_MEMORY).free if os.path.isdir(SHARED_MEMORY) else 2**40

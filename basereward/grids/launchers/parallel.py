"""Several runs at once on one machine: a GPU for each, or a share of the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from queue import SimpleQueue

from basereward.grids.launchers.base import Launcher, whole_number
from basereward.grids.process import Job, end_all, run_job, with_threads
from basereward.grids.state import State

VISIBLE = "CUDA_VISIBLE_DEVICES"


class Parallel(Launcher):
    """Runs beside one another, each a process of its own; the next begins when one has ended.

    Args:
        n_jobs: runs at once; one for each GPU, or 2 on a machine without, when None.
        threads: of a run's arithmetic; its share of the cores when None.
    """

    needs = ("joblib", "parallel")

    def __init__(self, n_jobs: int | None = None, threads: int | None = None):
        whole_number("n_jobs", n_jobs)
        whole_number("threads", threads)
        self.devices = visible_devices()
        self.n_jobs = n_jobs or len(self.devices) or 2
        self.threads = threads or max(1, (os.cpu_count() or 1) // self.n_jobs)

    @property
    def at_once(self) -> int:
        """As configured."""
        return self.n_jobs

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, State]]:
        """In the order in which they end; threads of this process wait for the processes of the runs."""
        from joblib import Parallel as Workers
        from joblib import delayed

        slots: SimpleQueue[int] = SimpleQueue()
        for number in range(self.n_jobs):
            slots.put(number)

        def one(job: Job) -> tuple[Job, State]:
            slot = slots.get()
            try:
                return job, run_job(job, self.environment(slot))
            finally:
                slots.put(slot)

        try:
            yield from Workers(self.n_jobs, prefer="threads", return_as="generator_unordered")(delayed(one)(job) for job in jobs)
        finally:
            end_all()

    def environment(self, slot: int) -> dict[str, str]:
        """What a run of a slot sees: its GPU alone, where there are any, and its share of the cores."""
        device = {VISIBLE: self.devices[slot % len(self.devices)]} if self.devices else {}
        return device | with_threads(self.threads)


def visible_devices() -> list[str]:
    """Names of the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` has them."""
    import torch

    if not torch.cuda.is_available():
        return []
    listed = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return listed or [str(number) for number in range(torch.cuda.device_count())]

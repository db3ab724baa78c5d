"""One run after another, on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from basereward.grids.launchers.base import Launcher, whole_number
from basereward.grids.process import Job, end_all, run_job, with_threads
from basereward.grids.state import State


class Basic(Launcher):
    """Each run has the whole machine.

    Args:
        threads: of a run's arithmetic; what the machine gives when None. processes: of one run, one for each GPU, through torchrun.
    """

    at_once = 1

    def __init__(self, threads: int | None = None, processes: int | None = None):
        whole_number("threads", threads)
        whole_number("processes", processes)
        self.threads, self.processes = threads, processes or 1

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, State]]:
        """In their order."""
        try:
            for job in jobs:
                yield job, run_job(job, with_threads(self.threads), self.processes)
        finally:
            end_all()

"""Runs of a grid as an array of Slurm jobs, each queued again from its checkpoint when its time is over or its machine is taken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from basereward.errors import ConfigError, near_matches
from basereward.grids.folder import Folder
from basereward.grids.launchers.base import Launcher, whole_number
from basereward.grids.process import Job, run_job, with_threads
from basereward.grids.state import DONE, FAILED, PAUSED, State, state_of, write_state
from basereward.runtime import write_json

CLUSTERS = ("slurm", "local")
# What submitit keeps of its jobs, in the grid's folder, which every machine of the cluster must see.
SUBMITTED, IDS = "slurm", "jobs.json"
# Words of sacct for a job that is over; another word, or none, is a job that may still come.
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "UNKNOWN")
POLL = 2.0  # seconds


class OneRun:
    """A job on a machine of the cluster.

    Slurm sends a signal before it ends a job; submitit then asks for ``checkpoint`` and puts the job back into the queue, and the next
    start goes on from the run's newest checkpoint.
    """

    def __init__(self, job: Job, threads: int | None, processes: int = 1):
        self.job, self.threads, self.processes = job, threads, processes

    def __call__(self) -> str:
        """Runs it; returns the state that it is in then."""
        return run_job(self.job, with_threads(self.threads), self.processes).state

    def checkpoint(self) -> Any:
        """The same again: where it is, its directory knows."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Slurm(Launcher):
    """An array of jobs, one for each run; this process waits and tells of each.

    Args:
        partition, account, qos: of the cluster; its defaults when None. minutes: until a job is queued again.
        gpus, cpus, memory_gib: of one run, which has a process for each GPU. at_once: jobs of the array beside one another.
        requeues: how often a job whose time was over is queued again. threads: of a process's arithmetic; its share of ``cpus`` when None.
        setup: lines of shell before the run. more: other flags of sbatch, by name.
        cluster: slurm, or local for processes of this machine, to try it.
    """

    needs = ("submitit", "slurm")

    def __init__(
        self, partition: str | None = None, account: str | None = None, qos: str | None = None, minutes: int = 240, gpus: int = 1,
        cpus: int = 8, memory_gib: int | None = None, at_once: int = 16, requeues: int = 10, threads: int | None = None,
        setup: Sequence[str] = (), more: Mapping[str, Any] | None = None, cluster: str = "slurm",
    ):  # fmt: skip
        for key, value in {
            "minutes": minutes,
            "cpus": cpus,
            "at_once": at_once,
            "threads": threads,
            "memory_gib": memory_gib,
        }.items():
            whole_number(key, value)
        if cluster not in CLUSTERS:
            raise ConfigError(f"launcher.cluster: {cluster!r} is not known; {near_matches(cluster, CLUSTERS)}")
        self.cluster, self.minutes, self.requeues, self._at_once = cluster, minutes, requeues, at_once
        self.processes = max(1, gpus)
        self.threads = threads or max(1, cpus // self.processes)
        self.flags = {
            "job_name": "basereward", "partition": partition, "account": account, "qos": qos, "time": minutes, "nodes": 1,
            "ntasks_per_node": 1, "gpus_per_node": gpus or None, "cpus_per_task": cpus, "mem": f"{memory_gib}GB" if memory_gib else None,
            "array_parallelism": at_once, "setup": list(setup) or None, "additional_parameters": dict(more or {}) or None,
            "stderr_to_stdout": True,
        }  # fmt: skip

    @property
    def at_once(self) -> int:
        """As configured."""
        return self._at_once

    def check(self) -> None:
        """Also refuses a machine that submits to no cluster."""
        super().check()
        import submitit

        if self.cluster == "slurm" and submitit.SlurmExecutor.affinity() < 0:
            raise ConfigError(
                "launcher: expected Slurm's srun on this machine; found none; start the grid where jobs are submitted, print the script "
                "with --dry-run, or try it on this machine with launcher.cluster=local"
            )

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, State]]:
        """In the order in which they end; one that an earlier start left in the queue is waited for and not submitted again."""
        if not jobs:
            return
        place = Path(jobs[0].root) / SUBMITTED
        size = len(jobs) if self.cluster == "slurm" else self.at_once  # processes of this machine have no queue
        for first in range(0, len(jobs), size):
            part = jobs[first : first + size]
            handles = self._in_queue(place, part)
            new = [job for job in part if job.name not in handles]
            if new:
                submitted = self.executor(place).submit_array([OneRun(job, self.threads, self.processes) for job in new])
                handles |= {job.name: handle for job, handle in zip(new, submitted, strict=True)}
            write_json(place / IDS, {name: str(handle.job_id) for name, handle in handles.items()})
            yield from _ended(part, handles)

    def script(self, jobs: Sequence[Job]) -> str:
        """The file that sbatch would be given, as submitit writes it."""
        super().check()
        executor = self.executor(Path(jobs[0].root) / SUBMITTED, here=False)
        if len(jobs) > 1:
            executor.parameters["map_count"] = len(jobs)
        return executor._make_submission_file_text(executor._submitit_command_str, "")

    def executor(self, place: Path, *, here: bool = True) -> Any:
        """The executor of submitit.

        Args:
            here: jobs are to be submitted from this machine; otherwise a script alone is asked for.
        """
        import submitit

        if here and self.cluster == "local":
            executor = submitit.LocalExecutor(place, max_num_timeout=self.requeues)
            executor.update_parameters(timeout_min=self.minutes, stderr_to_stdout=True)
            return executor
        kind = submitit.SlurmExecutor if here else type("AnyMachine", (submitit.SlurmExecutor,), {"affinity": lambda self: 1})
        executor = kind(place, max_num_timeout=self.requeues)
        executor.update_parameters(**{key: value for key, value in self.flags.items() if value is not None})
        return executor

    def _in_queue(self, place: Path, jobs: Sequence[Job]) -> dict[str, Any]:
        """Run -> the job that an earlier start submitted for it and that is not over."""
        if self.cluster == "local" or not (place / IDS).is_file():
            return {}
        import submitit

        known = json.loads((place / IDS).read_text(encoding="utf-8"))
        found = {job.name: submitit.SlurmJob(place, known[job.name]) for job in jobs if job.name in known}
        return {name: handle for name, handle in found.items() if not is_over(handle)}


def is_over(handle: Any) -> bool:
    """Whether a job will not run any more."""
    return handle.paths.result_pickle.exists() or str(handle.state).split(" ")[0].rstrip("+") in OVER


def _ended(jobs: Sequence[Job], handles: Mapping[str, Any]) -> Iterator[tuple[Job, State]]:
    waiting = list(jobs)
    while waiting:
        for job in [job for job in waiting if handles[job.name].done()]:
            waiting.remove(job)
            yield job, _left(Folder(job.root).run_dir(job.name), handles[job.name])
        if waiting:
            time.sleep(POLL)


def _left(run_dir: Path, handle: Any) -> State:
    """The state that a job left; one that ended without a word failed."""
    state = state_of(run_dir)
    if state.state not in (DONE, PAUSED, FAILED):
        state.end(FAILED, f"job {handle.job_id} is {handle.state}, and the run has not ended; its output: {handle.paths.stdout}")
        write_state(run_dir, state)
    return state

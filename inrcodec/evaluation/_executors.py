"""Where points are measured: in this process, in processes beside it, or as ray tasks.

In: jobs. Out: one `Outcome` a job, in the order in which they end. Ctrl-C and SIGTERM reach every
worker; those that fit save their checkpoints first, and the points that are done stay done.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from inrcodec._processes import EXECUTORS
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._ray import execute_on_ray
from inrcodec.evaluation._run_job import Outcome, run_job
from inrcodec.evaluation._workers import execute_in_processes

__all__ = ["EXECUTORS", "Outcome", "execute"]


def execute(
    jobs: Sequence[PointJob], *, executor: str, workers: int, progress: bool
) -> Generator[Outcome, None, None]:
    """Run jobs and give their outcomes as they come.

    Raises:
        EvaluationError: the executor's extra is missing.
        ValueError: no such executor.
        Interrupted: Ctrl-C; so is KeyboardInterrupt.
    """
    if executor not in EXECUTORS:
        raise ValueError(f"executor is {executor!r}, must be one of {', '.join(EXECUTORS)}")
    if executor == "ray":
        yield from execute_on_ray(jobs, workers)
    elif workers == 1:
        for job in jobs:
            yield run_job(job, progress=progress)
    else:
        yield from execute_in_processes(jobs, workers)

"""Points measured at once in worker processes, each with its share of the cores.

In: jobs. Out: their outcomes, as they come. A worker gets its next job when it has given the last
one back, so that nothing begins after Ctrl-C. A job whose worker died is tried once more at the
end, with no other beside it: memory may have been short.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from inrcodec._processes import SAVING_SECONDS, Worker, ready
from inrcodec._provenance import num_cores
from inrcodec.errors import Interrupted
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._run_job import Outcome, run_job

_DIED = "a worker process died twice, perhaps for want of memory; try fewer workers"


class _Worker(Worker):
    """A process that runs one job at a time."""

    def __init__(self, num_threads: int) -> None:
        super().__init__(_work, num_threads=num_threads)
        self.job: PointJob | None = None

    def start(self, job: PointJob) -> None:
        """Give it a job; one that cannot take it is found dead when its outcome is asked for."""
        self.job = job
        self.send(job)

    def outcome(self) -> Outcome | None:
        """Return what became of its job; None where the worker died or was told to stop."""
        self.job = None
        given: Outcome | None = self.receive()
        return given


def execute_in_processes(jobs: Sequence[PointJob], workers: int) -> Iterator[Outcome]:
    """Run jobs, at most `workers` at once, and give their outcomes as they come.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the workers saved what they had.
    """
    died: list[PointJob] = []
    died_again: list[PointJob] = []
    num_threads = max(1, num_cores() // workers)
    yield from _execute(jobs, workers, num_threads=num_threads, died=died)
    yield from _execute(died, 1, num_threads=num_threads, died=died_again)
    yield from (Outcome(job, error=_DIED) for job in died_again)


def _execute(
    jobs: Iterable[PointJob], workers: int, *, num_threads: int, died: list[PointJob]
) -> Iterator[Outcome]:
    """Run jobs; those whose worker died go to `died`."""
    waiting = deque(jobs)
    pool: list[_Worker] = []
    try:
        while waiting or _busy(pool):
            _hand_out(waiting, pool, workers, num_threads)
            for worker in ready(_busy(pool)):
                job = worker.job
                if (outcome := worker.outcome()) is not None:
                    yield outcome
                    continue
                pool.remove(worker)
                worker.close()
                died += [job] if job else []
    except BaseException:
        _stop(pool)
        raise
    finally:
        for worker in pool:
            worker.close()


def _hand_out(
    waiting: deque[PointJob], pool: list[_Worker], workers: int, num_threads: int
) -> None:
    """Give every idle worker a job, and start workers for others up to `workers`."""
    idle = [worker for worker in pool if worker.job is None]
    while waiting and (idle or len(pool) < workers):
        if not idle:
            idle.append(_Worker(num_threads))
            pool.append(idle[-1])
        idle.pop().start(waiting.popleft())


def _busy(pool: Iterable[_Worker]) -> list[_Worker]:
    return [worker for worker in pool if worker.job]


def _stop(pool: Sequence[_Worker]) -> None:
    """Pass Ctrl-C on, and wait until the running fits are saved."""
    for worker in _busy(pool):
        worker.interrupt()
    end = time.monotonic() + SAVING_SECONDS
    while (busy := _busy(pool)) and (ended := ready(busy, max(0.0, end - time.monotonic()))):
        for worker in ended:
            worker.outcome()


def _work(pipe: Any) -> None:
    """What a worker does: jobs, until the other end of the pipe is closed."""
    while True:
        pipe.send(_run(pipe.recv()))


def _run(job: PointJob) -> Outcome | None:
    try:
        return run_job(job)
    except (KeyboardInterrupt, Interrupted):
        return None

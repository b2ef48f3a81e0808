"""Points measured at once in worker processes, each with its share of the cores.

In: jobs. Out: their outcomes, as they come. A worker gets its next job when it has given the last
one back, so that nothing begins after Ctrl-C. Every worker leads a process group of its own: Ctrl-C
reaches it through this process, and what it started ends with it. A job whose worker died is tried
once more at the end, with no other beside it: memory may have been short.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection
from typing import Any

from inrcodec._provenance import num_cores
from inrcodec._signals import terminate_as_interrupt
from inrcodec.errors import Interrupted
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._run_job import Outcome, run_job
from inrcodec.models import entry, names

SAVING_SECONDS = 60.0  # what a worker is given to save its checkpoint after Ctrl-C
_ENDING_SECONDS = 5.0  # and an idle one to end
_DIED = "a worker process died twice, perhaps for want of memory; try fewer workers"


class _Worker:
    """A process that runs one job at a time."""

    def __init__(self, num_threads: int) -> None:
        # Forked children of a process that has run torch may hang: they are started afresh.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        told = (theirs, num_threads, _modules_of_others())
        self._process = context.Process(target=_serve, args=told)
        # A worker is told to stop by SIGTERM alone; a terminal's Ctrl-C would end it in a traceback
        # while it starts.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        theirs.close()
        self.job: PointJob | None = None

    def start(self, job: PointJob) -> None:
        """Give it a job; one that cannot take it is found dead when its outcome is asked for."""
        self.job = job
        with suppress(OSError):
            self.pipe.send(job)

    def outcome(self) -> Outcome | None:
        """Return what became of its job; None where the worker died or was told to stop."""
        self.job = None
        try:
            given: Outcome | None = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return given

    def interrupt(self) -> None:
        """Pass Ctrl-C on."""
        self._process.terminate()

    def close(self) -> None:
        """End the process, and what is left of those that it started."""
        self.pipe.close()
        ended = connection.wait([self._process.sentinel], _ENDING_SECONDS)
        if self._process.pid is not None:
            # Before it is reaped: until then its number is its group's and nobody else's.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if not ended:
            self._process.kill()
        self._process.join()


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
        while waiting or any(worker.job for worker in pool):
            _hand_out(waiting, pool, workers, num_threads)
            for worker in _ready(pool):
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


def _ready(pool: Iterable[_Worker], timeout: float | None = None) -> list[_Worker]:
    """Wait for busy workers that have ended their job, or themselves."""
    busy: dict[Any, _Worker] = {worker.pipe: worker for worker in pool if worker.job}
    return [busy[pipe] for pipe in connection.wait(list(busy), timeout)]


def _stop(pool: Sequence[_Worker]) -> None:
    """Pass Ctrl-C on, and wait until the running fits are saved."""
    busy = [worker for worker in pool if worker.job]
    for worker in busy:
        worker.interrupt()
    end = time.monotonic() + SAVING_SECONDS
    while any(w.job for w in busy) and (ready := _ready(busy, max(0.0, end - time.monotonic()))):
        for worker in ready:
            worker.outcome()


def _modules_of_others() -> list[str]:
    """Where networks are registered that this package does not import."""
    modules = {entry(name).network.__module__ for name in names()}
    return sorted(name for name in modules if not name.startswith(("inrcodec.", "__m")))


def _serve(pipe: Any, num_threads: int, modules: Sequence[str]) -> None:
    """What a worker does: jobs, until the other end of the pipe is closed."""
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(num_threads)
    for module in modules:
        with suppress(ImportError):  # then it is an unknown network, as a point says
            importlib.import_module(module)
    with suppress(KeyboardInterrupt, EOFError, OSError), terminate_as_interrupt():
        while True:
            pipe.send(_run(pipe.recv()))


def _run(job: PointJob) -> Outcome | None:
    try:
        return run_job(job)
    except (KeyboardInterrupt, Interrupted):
        return None


def _end_with_parent() -> None:
    """Stop as by SIGTERM when the process that gives out the jobs is gone."""
    parent = multiprocessing.parent_process()
    main = threading.main_thread().ident
    if parent is not None and main is not None:
        connection.wait([parent.sentinel])
        signal.pthread_kill(main, signal.SIGTERM)

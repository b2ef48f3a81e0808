"""Where points are measured: in this process, in processes beside it, or as ray tasks.

In: jobs. Out: one `Outcome` a job, in the order in which they end. Ctrl-C reaches every worker;
those that fit save their checkpoints first, and the points that are done stay done.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed, wait
from dataclasses import dataclass
from typing import Any

from inrcodec._provenance import num_cores
from inrcodec.errors import InrcodecError, Interrupted
from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._points import save_failure, save_point

EXECUTORS = ("local", "ray")
_SAVING_SECONDS = 60.0  # what a worker is given to save its checkpoint after Ctrl-C
_DIED = "a worker process died, perhaps for want of memory; try fewer workers"


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the point is in its record, or `error` says why not."""

    job: PointJob
    error: str | None = None
    bpp: float = 0.0
    psnr_db: float | None = None
    seconds: float = 0.0  # of the encode
    wall_seconds: float = 0.0  # of all: encode, decode, scores


def run_job(job: PointJob, *, progress: bool = False) -> Outcome:
    """Measure a point and write its record; a failure is written down, not raised.

    Raises:
        Interrupted: Ctrl-C during a fit.
        KeyboardInterrupt: Ctrl-C elsewhere.
    """
    from inrcodec.evaluation import _measure

    start = time.perf_counter()
    try:
        point = _measure.measure(job, progress=progress)
    except Interrupted:
        raise
    except Exception as exc:  # one point must not take the others with it
        known = isinstance(exc, (InrcodecError, ValueError, OSError))
        message = " ".join(str(exc).split()) if known else f"{type(exc).__name__}: {exc}"
        save_failure(job.record, message)
        return Outcome(job, error=message)
    save_point(job.record, point)
    return Outcome(
        job,
        bpp=point.bpp,
        psnr_db=point.metrics.get("psnr_rgb"),
        seconds=point.encode_seconds or 0.0,
        wall_seconds=time.perf_counter() - start,
    )


def execute(
    jobs: Sequence[PointJob], *, executor: str, workers: int, progress: bool
) -> Iterator[Outcome]:
    """Run jobs and give their outcomes as they come.

    Raises:
        EvaluationError: the executor's extra is missing.
        ValueError: no such executor.
        Interrupted: Ctrl-C; so is KeyboardInterrupt.
    """
    if executor not in EXECUTORS:
        raise ValueError(f"executor is {executor!r}, must be one of {', '.join(EXECUTORS)}")
    if executor == "ray":
        yield from _execute_ray(jobs, workers)
    elif workers == 1:
        for job in jobs:
            yield run_job(job, progress=progress)
    else:
        yield from _execute_processes(jobs, workers)


def _execute_processes(jobs: Sequence[PointJob], workers: int) -> Iterator[Outcome]:
    # Forked children of a process that has run torch may hang: they are started afresh.
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(max(1, num_cores() // workers),),
    )
    futures = {pool.submit(_run_in_worker, job): job for job in jobs}
    try:
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenExecutor:
                yield Outcome(futures[future], error=_DIED)
    except BaseException:
        running = [future for future in futures if not future.cancel()]
        if wait(running, timeout=_SAVING_SECONDS).not_done:
            for process in list((pool._processes or {}).values()):
                process.terminate()
        pool.shutdown()
        raise
    pool.shutdown()


def _start_worker(num_threads: int) -> None:
    """Share the cores, and leave Ctrl-C to the job that runs: an idle worker ends with its pool."""
    import torch

    torch.set_num_threads(num_threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_in_worker(job: PointJob) -> Outcome:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run_job(job)
    except KeyboardInterrupt:
        # The bare exception would end the worker, and with it the pool, in a traceback.
        raise Interrupted("interrupted; run the same command to go on") from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _execute_ray(jobs: Sequence[PointJob], workers: int) -> Iterator[Outcome]:
    require_extra("ray", "--executor ray")
    import ray

    started = not ray.is_initialized()
    if started:
        # Ctrl-C is ours to handle; `RAY_ADDRESS` joins a cluster, whose disks must be shared.
        ray.init(log_to_driver=False)
    on_gpu = any(job.settings.get("device") == "cuda" for job in jobs)
    task: Any = ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_retries=0)(run_job)
    waiting, running = list(jobs), dict[Any, PointJob]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running[task.remote(job)] = job
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            finished = running.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayError as exc:
                yield Outcome(finished, error=" ".join(str(exc).split())[:400])
    finally:
        for reference in running:
            ray.cancel(reference)
        if started:
            ray.shutdown()

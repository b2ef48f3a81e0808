"""Points measured as tasks of ray, on this machine or a cluster whose workers see the folder.

In: jobs. Out: their outcomes, as they come. A task has its share of the cores, and a GPU where its
fit runs on one; reference codecs have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from inrcodec._processes import SAVING_SECONDS
from inrcodec._provenance import num_cores
from inrcodec._ray import ray_session
from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._run_job import Outcome, run_job


def execute_on_ray(jobs: Sequence[PointJob], workers: int) -> Iterator[Outcome]:
    """Run jobs, at most `workers` at once.

    Raises:
        EvaluationError: ray is missing.
        KeyboardInterrupt: Ctrl-C, after the tasks saved what they had.
    """
    require_extra("ray", "--executor ray")
    with ray_session() as ray:  # of a cluster whose disks are shared
        yield from _execute(ray, jobs, workers)


def _execute(ray: Any, jobs: Sequence[PointJob], workers: int) -> Iterator[Outcome]:
    waiting, running = list(jobs), dict[Any, PointJob]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                running[_submit(ray, job, workers)] = job
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            finished = running.pop(done)
            try:
                yield replace(ray.get(done), job=finished)
            except ray.exceptions.RayError as exc:
                yield Outcome(finished, error=" ".join(str(exc).split())[:400])
    finally:
        _cancel(ray, list(running))


def _submit(ray: Any, job: PointJob, workers: int) -> Any:
    device = job.settings.get("device", "cpu")
    # The task sees its GPU as the only one, whatever number it has on its machine.
    job = replace(job, options=replace(job.options, device=device))
    num_threads = max(1, num_cores() // workers)
    task = ray.remote(num_cpus=num_threads, num_gpus=int(device == "cuda"), max_retries=0)
    return task(_run_in_task).remote(job, num_threads)


def _run_in_task(job: PointJob, num_threads: int) -> Outcome:
    import torch

    torch.set_num_threads(num_threads)
    return run_job(job)


def _cancel(ray: Any, tasks: list[Any]) -> None:
    """Pass Ctrl-C on, and wait until the running fits are saved."""
    for task in tasks:
        ray.cancel(task)
    if tasks:
        ray.wait(tasks, num_returns=len(tasks), timeout=SAVING_SECONDS)

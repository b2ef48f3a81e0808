"""The ray executor, through a double that has ray's words: the real one is no package of ours."""

from __future__ import annotations

import os
import signal
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from inrcodec._provenance import num_cores
from inrcodec.errors import EvaluationError, Interrupted
from inrcodec.evaluation import _measure, _plan
from inrcodec.evaluation._plan import EvalOptions, PointJob
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._run import evaluate

WANTED = EvalOptions(
    codecs=("hnerv", "x264"),
    bpps=(2.0, 4.0),
    qualities={"x264": (20.0, 30.0)},
    metrics=("psnr_rgb",),
    epochs=1,
)


@pytest.fixture
def measured(
    monkeypatch: pytest.MonkeyPatch, make_point: Callable[..., EvalPoint]
) -> list[PointJob]:
    """Replaces the measurement by made points; the jobs as the tasks were given them."""
    jobs: list[PointJob] = []

    def measure(job: PointJob, *, progress: bool = False) -> EvalPoint:
        jobs.append(job)
        point = make_point(job.codec, 0.05, kind=job.kind, clip=job.reference.name)
        return replace(point, settings=job.settings)

    monkeypatch.setattr(_measure, "measure", measure)
    return jobs


class FakeRay(types.ModuleType):
    """Runs tasks when they are waited for."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.__spec__ = types.SimpleNamespace(name="ray")  # type: ignore[assignment]
        self.exceptions = types.SimpleNamespace(RayError=KeyError)
        self.calls: list[str] = []
        self.resources: list[dict[str, Any]] = []
        self.interrupts_after = 1000

    def is_initialized(self) -> bool:
        return False

    def init(self, **named: Any) -> None:
        self.calls.append("init")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the real one aborts

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def remote(self, **resources: Any) -> Any:
        self.resources.append(resources)
        return lambda function: types.SimpleNamespace(remote=lambda *a: Task(function, a))

    def wait(self, tasks: list[Any], *, num_returns: int, timeout: float | None = None) -> Any:
        if timeout is not None:
            self.calls.append(f"wait {len(tasks)}")
        elif self.interrupts_after == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        self.interrupts_after -= 1
        return tasks[:1], tasks[1:]

    def get(self, task: Any) -> Any:
        return task.function(*task.arguments)

    def cancel(self, task: Any) -> None:
        self.calls.append("cancel")


class Task:
    def __init__(self, function: Callable[..., Any], arguments: Any) -> None:
        self.function, self.arguments = function, arguments


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    double = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", double)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    return double


def test_ray_is_named_where_it_is_missing(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EvaluationError, match=r"needs ray: pip install 'inrcodec\[ray\]'"):
        evaluate([tiny_clip], tmp_path, options=WANTED, executor="ray")


def test_tasks_have_what_they_need(
    tiny_clip: Path,
    tmp_path: Path,
    ray: FakeRay,
    measured: list[PointJob],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_plan, "resolve_device", lambda name: torch.device("cuda", 1))
    monkeypatch.chdir(tiny_clip.parent)
    summary = evaluate([tiny_clip.name], tmp_path, options=WANTED, executor="ray", workers=2)
    assert (summary.measured, len(measured)) == (4, 4)
    assert ray.calls == ["init", "shutdown"]
    assert {job.source for job in measured} == {str(tiny_clip)}
    # A task sees one GPU, which has the first number; reference codecs need none.
    assert [job.options.device for job in measured] == ["cpu", "cpu", "cuda", "cuda"]
    assert [given["num_gpus"] for given in ray.resources] == [0, 0, 1, 1]
    assert {given["num_cpus"] for given in ray.resources} == {max(1, num_cores() // 2)}


def test_an_interrupt_waits_until_tasks_have_saved(
    tiny_clip: Path, tmp_path: Path, ray: FakeRay, measured: list[PointJob]
) -> None:
    ray.interrupts_after = 1
    with pytest.raises(Interrupted, match="1 of 4 points"):
        evaluate([tiny_clip], tmp_path, options=WANTED, executor="ray", workers=2)
    assert ray.calls == ["init", "cancel", "cancel", "wait 2", "shutdown"]

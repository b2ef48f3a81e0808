"""Segments that are fitted at once, by processes and by a double of ray."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

import inrcodec
from inrcodec import _at_once
from inrcodec._at_once import Crew
from inrcodec._fit_task import FitTask
from inrcodec._rounds import Plan
from inrcodec.cli import main
from inrcodec.errors import InrcodecError, Interrupted, TimeError
from inrcodec.fitting import FitConfig, FitProgress, InterruptFlag, _loop, load_checkpoint

EPOCHS = 60  # of a step each


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Workers have a share of the threads, which sums depend on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def encode(tiny_clip: Path, tmp_path: Path) -> Callable[..., bytes]:
    """Encodes the tiny clip in three segments, and returns the file's bytes."""

    def encode_to(name: str, **options: Any) -> bytes:
        told = {"epochs": EPOCHS, "bpp": 16.0, "segment_frames": 2, "device": "cpu", **options}
        inrcodec.encode(tiny_clip, tmp_path / name, **told)
        return (tmp_path / name).read_bytes()

    return encode_to


def work_that_tells_of_every_step(pipe: Any) -> None:
    """In a worker, which has modules of its own."""
    _loop._LOG_SECONDS = 0.0
    _at_once._work(pipe)


@pytest.fixture
def telling_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_at_once, "_work", work_that_tells_of_every_step)
    monkeypatch.syspath_prepend(Path(__file__).parents[1])  # where workers find this module


def workers_alive() -> list[psutil.Process]:
    """Processes that make fits."""
    children = psutil.Process().children()
    alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if any("spawn_main" in word for word in child.cmdline())]


class FakeRay(types.ModuleType):
    """Runs a task when it is waited for; has the words of ray that fits need."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.exceptions = types.SimpleNamespace(RayError=KeyError)
        self.needs: list[dict[str, Any]] = []
        self.most = 0  # tasks at once
        self.cancelled: list[Any] = []
        self.dies = False

    def is_initialized(self) -> bool:
        return False

    def init(self, **named: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the real one aborts

    def shutdown(self) -> None:
        pass

    def remote(self, **needs: Any) -> Any:
        self.needs.append(needs)
        return lambda function: types.SimpleNamespace(remote=lambda *given: Task(function, given))

    def wait(self, tasks: list[Any], *, num_returns: int, timeout: float) -> Any:
        self.most = max(self.most, len(tasks))
        if not self.dies and tasks[0] not in self.cancelled:
            tasks[0].function(*tasks[0].given)
        return tasks[:1], tasks[1:]

    def get(self, task: Any) -> Any:
        if self.dies:
            raise KeyError("the node is gone")

    def cancel(self, task: Any) -> None:
        self.cancelled.append(task)


@dataclass(frozen=True, eq=False)
class Task:
    function: Callable[..., None]
    given: tuple[Any, ...]


class FakeQueue:
    """A queue without an actor."""

    def __init__(self, **named: Any) -> None:
        self.items: list[bytes] = []

    def put(self, item: bytes) -> None:
        self.items.append(item)

    def qsize(self) -> int:
        return len(self.items)

    def get_nowait_batch(self, number: int) -> list[bytes]:
        given, self.items = self.items[:number], self.items[number:]
        return given


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    double = FakeRay()
    queues = types.ModuleType("ray.util.queue")
    queues.Queue = FakeQueue  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", double)
    monkeypatch.setitem(sys.modules, "ray.util", types.ModuleType("ray.util"))
    monkeypatch.setitem(sys.modules, "ray.util.queue", queues)
    return double


def test_an_interrupted_encode_goes_on_to_the_same_file(
    encode: Callable[..., bytes], tmp_path: Path, telling_workers: None, ray: FakeRay
) -> None:
    reports: list[FitProgress] = []

    def interrupt(progress: FitProgress) -> None:
        reports.append(progress)
        if len(reports) == 2:
            for _ in range(2):  # within a second: one wish
                os.kill(os.getpid(), signal.SIGINT)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has none
    try:
        with pytest.raises(Interrupted, match="--resume"):
            encode("cut.inr", workers=2, on_progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert not workers_alive()
    kept = load_checkpoint(tmp_path / "cut.inr.ckpt")
    assert any(0 < state["steps"] < EPOCHS for state in kept["fits"].values())
    assert "0.2" not in {*kept["fits"], *kept["finished"]}  # nothing begins after Ctrl-C
    # Whoever goes on with it.
    assert encode("cut.inr", executor="ray", resume=True) == encode("whole.inr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.inr", "whole.inr"]


def test_workers_that_die_lose_no_finished_fit(
    encode: Callable[..., bytes], tmp_path: Path, telling_workers: None
) -> None:
    begun: list[FitProgress] = []

    def kill(progress: FitProgress) -> None:
        if progress.steps == 1:
            begun.append(progress)
            if len(begun) == 3:  # a worker has made a fit, and has another
                for worker in workers_alive():
                    worker.kill()

    with pytest.raises(InrcodecError, match=r"a worker process died.*fewer workers"):
        encode("a.inr", workers=2, on_progress=kill)
    assert not workers_alive()
    assert {"0.0", "0.1"} & set(load_checkpoint(tmp_path / "a.inr.ckpt")["finished"])
    assert encode("a.inr", resume=True) == encode("b.inr")


def test_tasks_of_ray_give_the_same_file(encode: Callable[..., bytes], ray: FakeRay) -> None:
    made = encode("ray.inr", epochs=6, workers=2, executor="ray")
    assert made == encode("here.inr", epochs=6)
    assert ray.needs == [{"num_cpus": 1, "num_gpus": 0, "max_retries": 0}] * 3
    assert ray.most == 2


def test_a_task_of_ray_that_ends_without_a_word_is_an_error(
    encode: Callable[..., bytes], ray: FakeRay
) -> None:
    ray.dies = True
    with pytest.raises(InrcodecError, match="a task of ray ended: 'the node is gone'"):
        encode("a.inr", epochs=6, workers=2, executor="ray")
    assert len(ray.cancelled) == 1


def test_an_error_of_a_fit_is_raised_here_and_its_checkpoint_kept(
    encode: Callable[..., bytes], ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FitTask.run

    def run(task: FitTask, **told: Any) -> Any:
        if task.key == "0.1":
            raise TimeError("made")
        return real(task, **told)

    monkeypatch.setattr(FitTask, "run", run)
    with pytest.raises(TimeError, match="made"):
        encode("a.inr", epochs=6, workers=2, executor="ray")
    assert "0.0" in load_checkpoint(tmp_path / "a.inr.ckpt")["finished"]


def test_ray_is_named_where_it_is_missing(
    tiny_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["encode", str(tiny_clip), str(tmp_path / "a.inr"), "--executor", "ray"]) == 1
    assert "needs ray: pip install 'inrcodec[ray]'" in capsys.readouterr().err


class Raising:
    """A fit, as it is sent, that logs, warns and fails."""

    def __init__(self, error: Exception) -> None:
        self.error, self.log_level = error, logging.INFO

    def unpacked(self) -> Any:
        return self

    def run(self, **told: Any) -> None:
        logging.getLogger("inrcodec.fitting").info("a step of %d", 3)
        warnings.warn("costly", stacklevel=1)
        raise self.error


class Awkward(Exception):
    """Cannot be read by another process."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("error", "arrives"),
    [(TimeError("late"), TimeError("late")), (Awkward(1, 2), RuntimeError("Awkward: 1 and 2"))],
)
def test_what_a_worker_has_to_say_arrives(error: Exception, arrives: Exception) -> None:
    told: list[tuple[str, Any]] = []
    _at_once._run(Raising(error), lambda *what: told.append(pickle.loads(pickle.dumps(what))))  # type: ignore[arg-type]
    said = dict(told)
    assert ("log", "a step of 3") in [(k, w.getMessage()) for k, w in told if k == "log"]
    assert said["warning"] == ("costly", UserWarning)
    assert told[-1][0] == "error"
    assert repr(said["error"]) == repr(arrives)
    # Where in the code it arose, which -v promises, unless it is one that inrcodec raises.
    logged = [w.getMessage() for k, w in told if k == "log"]
    assert any("in run" in text for text in logged) == (
        error is not arrives and isinstance(error, Awkward)
    )


@pytest.mark.parametrize(
    ("num_at_once", "left", "seconds"),
    [
        (1, [60, 40, 20], [20, 20, 20]),
        (2, [60, 60, 30], [30, 60, 30]),  # one worker takes two of them
        (3, [60, 60, 60], [60, 60, 60]),
        (9, [60, 60, 60], [60, 60, 60]),
    ],
)
def test_time_is_shared_so_that_no_worker_is_idle(
    num_at_once: int, left: list[float], seconds: list[float]
) -> None:
    frames = torch.zeros(6, 3, 1, 1)
    job = types.SimpleNamespace(
        fit=FitConfig(epochs=1), source=types.SimpleNamespace(frames=frames)
    )
    plan = Plan(job, [(0, 2), (2, 4), (4, 6)], [], None)  # type: ignore[arg-type]
    got = [plan.budget(i, left[i], num_at_once=num_at_once).seconds for i in range(3)]
    assert got == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("workers", "executor", "message"),
    [(0, "local", "workers is 0"), (2.5, "local", "workers is 2.5"), (2, "dask", "local, ray")],
)
def test_a_wrong_crew_is_refused(workers: Any, executor: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Crew(workers, executor)


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    cuda, second = torch.device("cuda"), torch.device("cuda", 1)
    assert Crew(2).num_gpus(torch.device("cpu")) == 1
    assert [Crew(n).num_gpus(cuda) for n in (1, 2, 8)] == [1, 2, 4]
    assert Crew(8).num_gpus(second) == 1
    assert Crew(8, "ray").num_gpus(second) == 8


def test_more_workers_than_segments_are_warned_of(
    encode: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(UserWarning, match=r"2 workers for 1 segment: shorter ones \(--segment-f"):
        encode("a.inr", epochs=1, segment_frames=600, workers=2)
    assert not workers_alive()


def test_an_interrupt_before_the_first_fit_begins_none() -> None:
    listener = _at_once._Listener(None, None, InterruptFlag(requested=True))  # type: ignore[arg-type]
    assert listener.begin_next(_at_once.deque([lambda: pytest.fail("begun")])) is None

"""Segments of a clip fitted at once, in worker processes of this machine or as tasks of ray.

In: fits to be made. Out: their results, in the session. What workers have to tell comes here: their
progress to the bars, their states to the session's one checkpoint, their log and warnings to where
this process's own go.
"""

from __future__ import annotations

import logging
import pickle
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from logging.handlers import QueueHandler
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from inrcodec._fit_task import FitTask
from inrcodec._processes import (
    EXECUTORS,
    SAVING_SECONDS,
    Worker,
    import_modules,
    modules_of_others,
    ready,
)
from inrcodec._progress import ProgressBars
from inrcodec._ray import ray_session
from inrcodec._session import Session
from inrcodec._signals import terminate_as_interrupt
from inrcodec.errors import InrcodecError
from inrcodec.fitting import (
    FitProgress,
    FitResult,
    InterruptFlag,
    hold_interrupts,
    pack_state,
    unpack_state,
)

_log = logging.getLogger(__name__)
_PACKAGE = __name__.partition(".")[0]

_POLL_SECONDS = 0.2  # between looks at what Ctrl-C set
_SAVE_SECONDS = 30.0  # between writes of the one checkpoint, of which each fit has a part
_DIED = "a worker process died, perhaps for want of memory; go on with fewer workers (--resume)"

Tell = Callable[[str, Any], None]
"""Of a worker: what kind of thing it has to tell, and the thing.

`progress` (a `FitProgress`), `state` (bytes, as `pack_state` has them), `log` (a `LogRecord`),
`warning` (text and category), and last `result` (a `FitResult`, or None) or `error` (an exception).
"""


@dataclass(frozen=True)
class Crew:
    """Who fits segments at once.

    Raises:
        ValueError: there is no such executor, or no worker.
    """

    workers: int
    executor: str = "local"

    def __post_init__(self) -> None:
        if self.workers < 1 or self.workers != int(self.workers):
            raise ValueError(f"workers is {self.workers}, must be a whole number >= 1")
        if self.executor not in EXECUTORS:
            known = ", ".join(EXECUTORS)
            raise ValueError(f"executor is {self.executor!r}, must be one of {known}")

    def num_gpus(self, device: torch.device) -> int:
        """How many GPUs fits may have at once, where they run on such."""
        if device.type != "cuda" or (self.executor == "local" and device.index is not None):
            return 1
        if self.executor == "local":
            return min(self.workers, torch.cuda.device_count())
        return self.workers


HERE = Crew(1)
"""Nobody: segments are fitted in this process, one after the other."""


def fit_at_once(
    tasks: Iterable[Callable[[], FitTask]],
    *,
    crew: Crew,
    num_segments: int,
    session: Session,
    bars: ProgressBars,
) -> None:
    """Make fits, at most `crew.workers` at once, and finish them in the session.

    Args:
        tasks: return what to do when it is begun.
        crew: who does it. Each has its share of the threads that this process has.
        num_segments: of the clip, more than which work never at once.
        session: has the results, and when the fits are stopped their states.
        bars: show progress, one a running fit.

    Raises:
        Interrupted: Ctrl-C; the session's checkpoint is on the disk.
        InrcodecError: a worker died.
        As a fit does besides; the other fits are stopped, and in the checkpoint.
    """
    waiting = deque(tasks)
    if not waiting:
        return
    workers = min(crew.workers, num_segments)
    num_threads = max(1, torch.get_num_threads() // workers)
    follow = _follow_tasks_of_ray if crew.executor == "ray" else _follow_processes
    with hold_interrupts() as interrupt, _Listener(session, bars, interrupt) as listener:
        follow(waiting, workers, num_threads, listener)
    if listener.error is not None:
        raise listener.error
    if interrupt.requested:
        raise session.interrupted()


class _Listener:
    """Puts what is told of running fits where it belongs."""

    def __init__(self, session: Session, bars: ProgressBars, interrupt: InterruptFlag) -> None:
        self.error: Exception | None = None
        self._session, self._bars, self._interrupt = session, bars, interrupt
        self._saved_at = time.monotonic()
        self._kill_at: float | None = None  # once what runs was told to stop
        self._bars_of: dict[str, tuple[Callable[[FitProgress], None], tqdm[NoReturn]]] = {}

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *details: object) -> None:
        for _, bar in self._bars_of.values():
            bar.close()
        if self.is_stopping:
            self._session.save()

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more shall begin, and what runs shall be saved."""
        return self.error is not None or self._interrupt.requested

    def has_waited(self, interrupt: Callable[[], None]) -> bool:
        """Pass a stop on, once; whether what runs has had its time to be saved."""
        if not self.is_stopping:
            return False
        if self._kill_at is None:
            self._kill_at = time.monotonic() + SAVING_SECONDS
            interrupt()
        return time.monotonic() > self._kill_at

    def begin_next(self, waiting: deque[Callable[[], FitTask]]) -> FitTask | None:
        """Return the next fit, its bar opened; None where nothing shall begin."""
        if self.is_stopping or not waiting:
            return None
        try:
            task = waiting.popleft()()
        except InrcodecError as exc:  # the others are saved before it is raised
            self.fail(exc)
            return None
        self._bars_of[task.key] = self._bars.fit(task.stage, task.bpp)
        return task

    def hear(self, task: FitTask, kind: str, what: Any) -> bool:
        """Take what a fit has to tell; whether that is its last word."""
        if kind == "progress":
            report, _ = self._bars_of[task.key]
            report(what)
        elif kind == "state":
            self._session.fit_states[task.key] = _state_of(what)
            if time.monotonic() - self._saved_at > _SAVE_SECONDS:
                self._session.save()
                self._saved_at = time.monotonic()
        elif kind == "log":
            what.msg = f"{task.stage}: {what.msg}"
            logging.getLogger(what.name).handle(what)
        elif kind == "warning":
            text, category = what
            warnings.warn(text, category, stacklevel=2)
        elif kind == "error":
            self.fail(what)
        elif what is not None:
            task.finish(what, self._session)
        is_over = kind in {"result", "error"}
        if is_over:
            _, bar = self._bars_of.pop(task.key)
            bar.close()
        return is_over

    def fail(self, error: Exception) -> None:
        """Stop for an error; the first one counts."""
        self.error = self.error or error


# Processes of this machine


class _FitWorker(Worker):
    """A process that makes one fit at a time."""

    def __init__(self, slot: int, num_threads: int) -> None:
        super().__init__(_work, num_threads=num_threads)
        self.slot = slot
        self.task: FitTask | None = None  # None while it starts, and between two fits

    def start(self, task: FitTask) -> None:
        """Give it a fit."""
        self.task = task
        self.send(_pack(replace(task, part=replace(task.part, device=self._device(task)))))

    def _device(self, task: FitTask) -> torch.device:
        """One of the machine's GPUs, which workers take in turns, unless one of them was named."""
        device = task.part.device
        if device.type != "cuda" or device.index is not None:
            return device
        return torch.device("cuda", self.slot % torch.cuda.device_count())


def _follow_processes(
    waiting: deque[Callable[[], FitTask]], workers: int, num_threads: int, listener: _Listener
) -> None:
    pool = [_FitWorker(slot, num_threads) for slot in range(min(workers, len(waiting)))]

    def interrupt() -> None:
        for worker in pool:
            worker.interrupt()

    try:
        while pool:
            for worker in ready(pool, _POLL_SECONDS):
                if _is_done(worker, waiting, listener):
                    pool.remove(worker)
                    worker.close()
            if listener.has_waited(interrupt):
                return
    finally:
        for worker in pool:
            worker.close()


def _is_done(
    worker: _FitWorker, waiting: deque[Callable[[], FitTask]], listener: _Listener
) -> bool:
    """Hear what a worker has to tell, and give it the next fit; whether it is of no more use."""
    told = worker.receive()
    if told is None:
        if not listener.is_stopping:
            listener.fail(InrcodecError(_DIED))
        return True
    if worker.task is not None:
        if not listener.hear(worker.task, *told):
            return False
        worker.task = None
    task = listener.begin_next(waiting)
    if task is None:
        return True
    worker.start(task)
    return False


def _work(pipe: Any) -> None:
    """What a worker does: it says that it is there, then fits are made."""
    pipe.send(("ready", None))
    while True:
        _run(pickle.loads(pipe.recv()), lambda *what: pipe.send(what))


# Tasks of ray


def _follow_tasks_of_ray(
    waiting: deque[Callable[[], FitTask]], workers: int, num_threads: int, listener: _Listener
) -> None:
    with ray_session() as ray:
        from ray.util.queue import Queue

        told: Any = Queue(actor_options={"num_cpus": 0})
        running: dict[Any, FitTask] = {}
        over: set[str] = set()  # keys of fits that have said their last word

        def interrupt() -> None:
            for reference in running:
                ray.cancel(reference)

        while True:
            while len(running) < workers and (task := listener.begin_next(waiting)):
                running[_submit(ray, task, num_threads, told)] = task
            if not running:
                return
            # What is told before a task ends is there when it has ended.
            ended, _ = ray.wait(list(running), num_returns=1, timeout=_POLL_SECONDS)
            over |= _hear_all(told, {task.key: task for task in running.values()}, listener)
            for done in ended:
                key = running.pop(done).key
                if key not in over and not listener.is_stopping:
                    listener.fail(InrcodecError(_reason(ray, done)))
            if listener.has_waited(interrupt):
                return


def _submit(ray: Any, task: FitTask, num_threads: int, told: Any) -> Any:
    device = task.part.device.type  # the task sees its GPU as the only one
    task = replace(task, part=replace(task.part, device=torch.device(device)))
    needs = {"num_cpus": num_threads, "num_gpus": int(device == "cuda"), "max_retries": 0}
    remote = ray.remote(**needs)(_run_in_task)
    return remote.remote(_pack(task), task.key, num_threads, modules_of_others(), told)


def _run_in_task(packed: bytes, key: str, num_threads: int, modules: list[str], told: Any) -> None:
    torch.set_num_threads(num_threads)
    import_modules(modules)
    with terminate_as_interrupt():
        _run(pickle.loads(packed), lambda *what: told.put(pickle.dumps((key, *what))))


def _hear_all(told: Any, tasks: dict[str, FitTask], listener: _Listener) -> set[str]:
    """Hear all that is told by now; the fits of which it was the last."""
    over = set()
    for given in told.get_nowait_batch(told.qsize()):
        key, kind, what = pickle.loads(given)
        if listener.hear(tasks[key], kind, what):
            over.add(key)
    return over


def _reason(ray: Any, task: Any) -> str:
    """Why a task ended without a word."""
    try:
        ray.get(task)
    except ray.exceptions.RayError as exc:
        return f"a task of ray ended: {' '.join(str(exc).split())[:400]}"
    return "a task of ray ended without a result"


# In a worker


@dataclass(frozen=True)
class _Packed:
    """A fit, on its way to a worker."""

    task: FitTask  # without its frames, and its state packed
    frames: NDArray[np.uint8]  # a tensor would take the whole clip along
    state: bytes | None
    log_level: int = field(default_factory=logging.getLogger(_PACKAGE).getEffectiveLevel)

    def unpacked(self) -> FitTask:
        """Return the fit."""
        state = None if self.state is None else _state_of(self.state)
        return replace(self.task, frames=torch.from_numpy(self.frames), state=state)


def _pack(task: FitTask) -> bytes:
    """Return a fit as bytes: pipes would share the memory of tensors, which containers have little
    of, and ray would make arrays that cannot be written.
    """
    state = None if task.state is None else _state_bytes(task.state)
    bare = replace(task, frames=torch.empty(0), state=None)
    return pickle.dumps(_Packed(bare, task.frames.numpy(), state), pickle.HIGHEST_PROTOCOL)


def _state_bytes(state: dict[str, Any]) -> bytes:
    return pack_state(state).numpy().tobytes()


def _state_of(data: bytes) -> dict[str, Any]:
    return unpack_state(torch.frombuffer(bytearray(data), dtype=torch.uint8))


def _run(packed: _Packed, tell: Tell) -> None:
    """Make a fit, and tell of it; Ctrl-C saves it."""
    with hold_interrupts() as interrupt, _telling(tell, packed.log_level):
        try:
            result: FitResult | None = packed.unpacked().run(
                on_progress=lambda progress: tell("progress", progress),
                save=lambda state: tell("state", _state_bytes(state)),
                interrupt=interrupt,
            )
        except Exception as exc:
            if not isinstance(exc, InrcodecError):
                _log.info("failed in its worker", exc_info=True)
            tell("error", _portable(exc))
        else:
            tell("result", result)


@contextmanager
def _telling(tell: Tell, level: int) -> Iterator[None]:
    """Tell of what is logged and warned of inside."""

    class Teller(QueueHandler):
        def enqueue(self, record: logging.LogRecord) -> None:
            tell("log", record)

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        tell("warning", (str(message), category))

    logger, teller = logging.getLogger(_PACKAGE), Teller(None)  # type: ignore[arg-type]
    logger.setLevel(level)
    logger.addHandler(teller)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        logger.removeHandler(teller)


def _portable(exc: Exception) -> Exception:
    """Return an exception that another process can read."""
    try:
        pickle.loads(pickle.dumps(exc))
    except Exception:
        return RuntimeError(f"{type(exc).__name__}: {exc}")
    return exc

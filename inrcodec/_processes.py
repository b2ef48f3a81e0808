"""Worker processes: started afresh, each with its share of the cores, and told to stop by SIGTERM.

In: what a worker does. Out: its end of a pipe. Every worker leads a process group of its own:
Ctrl-C reaches it through this process, and what it started ends with it.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from multiprocessing import connection
from typing import Any, TypeVar

from inrcodec._signals import terminate_as_interrupt
from inrcodec.models import entry, names

__all__ = [
    "EXECUTORS",
    "SAVING_SECONDS",
    "Worker",
    "import_modules",
    "modules_of_others",
    "ready",
]

EXECUTORS = ("local", "ray")
"""Where what `workers` of something do at once is done: in processes of this machine, or by ray."""

SAVING_SECONDS = 60.0
"""What a worker is given to save its checkpoint after Ctrl-C."""

_ENDING_SECONDS = 5.0  # and an idle one to end


class Worker:
    """A process that does `work` with its end of a pipe until that is closed.

    Args:
        work: a function of a module, called with the pipe's other end; KeyboardInterrupt and a
            closed pipe end it.
        num_threads: that PyTorch computes with there.
    """

    def __init__(self, work: Callable[[Any], None], *, num_threads: int) -> None:
        # Forked children of a process that has run torch may hang: they are started afresh.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        told = (theirs, work, num_threads, modules_of_others())
        self._process = context.Process(target=_serve, args=told)
        # A worker is told to stop by SIGTERM alone; a terminal's Ctrl-C would end it in a traceback
        # while it starts.
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        theirs.close()

    def send(self, given: object) -> None:
        """Send it something; a worker that cannot take it is found dead when it is asked."""
        with suppress(OSError):
            self.pipe.send(given)

    def receive(self) -> Any:
        """Wait for what it sends next; None where the worker died."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

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


WorkerT = TypeVar("WorkerT", bound=Worker)


def ready(workers: Iterable[WorkerT], timeout: float | None = None) -> list[WorkerT]:
    """Wait for workers that have sent something, or ended; at most `timeout` seconds."""
    of_pipe: dict[Any, WorkerT] = {worker.pipe: worker for worker in workers}
    return [of_pipe[pipe] for pipe in connection.wait(list(of_pipe), timeout)]


def modules_of_others() -> list[str]:
    """Where networks are registered that this package does not import."""
    modules = {entry(name).network.__module__ for name in names()}
    return sorted(name for name in modules if not name.startswith(("inrcodec.", "__m")))


def import_modules(modules: Iterable[str]) -> None:
    """Import those that are there: without the others a network is unknown, which is said."""
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)


def _serve(
    pipe: Any, work: Callable[[Any], None], num_threads: int, modules: Sequence[str]
) -> None:
    os.setpgrp()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch

    torch.set_num_threads(num_threads)
    import_modules(modules)
    with suppress(KeyboardInterrupt, EOFError, OSError), terminate_as_interrupt():
        work(pipe)


def _end_with_parent() -> None:
    """Stop as by SIGTERM when the process that started this one is gone."""
    parent = multiprocessing.parent_process()
    main = threading.main_thread().ident
    if parent is not None and main is not None:
        connection.wait([parent.sentinel])
        signal.pthread_kill(main, signal.SIGTERM)

"""SIGTERM is Ctrl-C: what a batch system or `kill` sends must not cost a fit or leave a child.

While a fit holds interrupts, SIGTERM goes to its flag like Ctrl-C, and its checkpoint is saved.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM do in this block what Ctrl-C would do at that moment.

    Outside the main thread, where Python delivers no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    if not callable(on_ctrl_c):  # ignored: a shell starts background jobs so
        raise KeyboardInterrupt
    on_ctrl_c(signum, frame)

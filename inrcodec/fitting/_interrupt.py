"""Ctrl-C between steps: a fit stops where its state is whole, so that it can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class InterruptFlag:
    """Whether Ctrl-C was pressed."""

    requested: bool = False


@contextmanager
def hold_interrupts() -> Iterator[InterruptFlag]:
    """Turn the first Ctrl-C inside into a flag; the second one raises KeyboardInterrupt.

    Outside the main thread, where Python delivers no signals, the flag just stays unset.
    """
    flag = InterruptFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(signum: int, frame: FrameType | None) -> None:
        if flag.requested:
            raise KeyboardInterrupt
        flag.requested = True

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, previous)

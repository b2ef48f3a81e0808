"""Ctrl-C between steps: a fit stops where its state is whole, so that it can be saved.

Terminals and batch systems send SIGINT and SIGTERM, or one of them twice, within a moment: that is
one wish, not a second one that would lose the checkpoint.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_ONE_WISH_SECONDS = 1.0


@dataclass
class InterruptFlag:
    """Whether Ctrl-C was pressed."""

    requested: bool = False


@contextmanager
def hold_interrupts() -> Iterator[InterruptFlag]:
    """Turn the first Ctrl-C inside into a flag; one a second later raises KeyboardInterrupt.

    Where SIGINT is ignored, as in jobs that a shell starts in the background, it stays so; SIGTERM
    sets the flag there too (`inrcodec._signals`). Outside the main thread, where Python delivers no
    signals, the flag just stays unset.
    """
    flag = InterruptFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    wished_at = 0.0

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal wished_at
        if is_ignored and signum == signal.SIGINT:
            return
        if not flag.requested:
            flag.requested, wished_at = True, time.monotonic()
        elif time.monotonic() >= wished_at + _ONE_WISH_SECONDS:
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        if previous is not None:  # which no Python code installed, and none can put back
            signal.signal(signal.SIGINT, previous)

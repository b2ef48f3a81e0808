"""SIGTERM in an evaluation is Ctrl-C, at every moment."""

from __future__ import annotations

import os
import signal

import pytest

from inrcodec._signals import terminate_as_interrupt
from inrcodec.fitting import hold_interrupts


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_interrupts() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with terminate_as_interrupt(), pytest.raises(KeyboardInterrupt):
        terminate()
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_lets_a_fit_be_saved() -> None:
    with terminate_as_interrupt(), hold_interrupts() as flag:
        terminate()
        assert flag.requested
        with pytest.raises(KeyboardInterrupt):
            terminate()


def test_sigterm_interrupts_a_background_job_that_ignores_ctrl_c() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminate_as_interrupt(), pytest.raises(KeyboardInterrupt):
            terminate()
    finally:
        signal.signal(signal.SIGINT, previous)

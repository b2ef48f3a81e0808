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


def test_sigterm_lets_a_fit_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminate_as_interrupt(), hold_interrupts() as flag:
        terminate()
        assert flag.requested
        os.kill(os.getpid(), signal.SIGINT)  # the same wish: a terminal may send both
        monkeypatch.setattr("inrcodec.fitting._interrupt._ONE_WISH_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            terminate()


def test_a_fit_in_the_background_ignores_ctrl_c_and_is_saved_by_sigterm() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminate_as_interrupt(), hold_interrupts() as flag:
            os.kill(os.getpid(), signal.SIGINT)
            assert not flag.requested
            terminate()
            assert flag.requested
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)


def test_sigterm_interrupts_a_background_job_that_ignores_ctrl_c() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminate_as_interrupt(), pytest.raises(KeyboardInterrupt):
            terminate()
    finally:
        signal.signal(signal.SIGINT, previous)

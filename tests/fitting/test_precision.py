"""True fp32 inside, and the process's settings as they were outside, whoever made them."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
import torch

from inrcodec.fitting._precision import fp32_arithmetic, tf32_arithmetic

pytestmark = pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="needs torch >= 2.9"
)
MATMUL: Any = torch.backends.cuda.matmul
CUDNN: Any = torch.backends.cudnn


def settings() -> tuple[object, ...]:
    return MATMUL.fp32_precision, CUDNN.conv.fp32_precision, CUDNN.deterministic, CUDNN.benchmark


class ExactThread(threading.Thread):
    """Stays in true fp32 until it is told to leave."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.told = threading.Event(), threading.Event()
        self.found: tuple[object, ...] = ()

    def run(self) -> None:
        with fp32_arithmetic():
            self.inside.set()
            self.told.wait(10)
            self.found = settings()

    def enter(self) -> None:
        self.start()
        assert self.inside.wait(10)

    def leave(self) -> tuple[object, ...]:
        """Return what the settings were just before."""
        self.told.set()
        self.join()
        return self.found


def test_inside_it_is_exact_and_outside_as_before() -> None:
    before = settings()
    with fp32_arithmetic():
        with fp32_arithmetic():
            assert settings() == ("ieee", "ieee", True, False)
        assert settings() == ("ieee", "ieee", True, False)
    assert settings() == before


@pytest.mark.parametrize("name", ["matmul", "conv"])
def test_a_cpu_that_may_round_to_bf16_does_not_inside(name: str) -> None:
    owner: Any = getattr(torch.backends.mkldnn, name, None)
    if owner is None:
        pytest.skip("torch has no such setting")
    before = owner.fp32_precision
    try:
        owner.fp32_precision = "bf16"
        with fp32_arithmetic():
            assert owner.fp32_precision == "ieee"
        assert owner.fp32_precision == "bf16"
    finally:
        owner.fp32_precision = before


def test_threads_do_not_undo_each_other() -> None:
    before = settings()
    thread = ExactThread()
    with fp32_arithmetic():
        thread.enter()
    assert thread.leave() == ("ieee", "ieee", True, False)
    assert settings() == before


def test_tf32_gives_way_to_true_fp32() -> None:
    before = settings()
    with tf32_arithmetic():
        assert settings()[:2] == ("tf32", "tf32")
        with fp32_arithmetic():
            assert settings() == ("ieee", "ieee", True, False)
        assert settings()[:2] == ("tf32", "tf32")
    assert settings() == before


def test_tf32_of_one_thread_leaves_another_exact() -> None:
    before = settings()
    thread = ExactThread()
    with tf32_arithmetic():
        thread.enter()
    with tf32_arithmetic():
        found = thread.leave()
    assert found == ("ieee", "ieee", True, False)
    assert settings() == before


def test_a_host_that_uses_the_new_interface_is_welcome() -> None:
    program = (
        "import torch\n"
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'\n"
        "from inrcodec.fitting._precision import fp32_arithmetic\n"
        "with fp32_arithmetic(): pass\n"
        "print(torch.backends.cuda.matmul.fp32_precision)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "tf32\n", done.stderr

"""Memory that a step or a frame frees is there for the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inrcodec._memory import keep_freed_memory

# Blocks under glibc's largest threshold, more of them than what it keeps by itself.
PROGRAM = """
import resource, sys
import torch
from inrcodec._memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def step():
    maps = [torch.ones(2_000_000) for _ in range(32)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that the fourth of some alike steps gets anew."""
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="needs glibc")
def test_pages_are_got_once() -> None:
    assert 10 * faults("kept") < faults("as it is")

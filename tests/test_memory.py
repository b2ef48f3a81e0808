"""Memory that a step or a frame frees is there for the next one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inrcodec._memory import keep_freed_memory

# Blocks under glibc's largest threshold, more of them than what it keeps by itself. Of the first
# step, as what a later one gives back depends on where the heap's small blocks lie; of sizes, as
# not every container counts the faults of pages.
PROGRAM = """
import resource, sys
from pathlib import Path
import torch
from inrcodec._memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def size():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
def step():
    maps = [torch.ones(2_000_000) for _ in range(32)]
    return size()
print(step() - size())
"""
MAPS = 32 * 2_000_000 * 4  # bytes


def returned(how: str) -> int:
    """Bytes that a process's first step gives back to the system at its end."""
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="needs glibc")
def test_memory_of_a_step_is_kept() -> None:
    assert returned("as it is") > MAPS // 2
    assert returned("kept") < MAPS // 100

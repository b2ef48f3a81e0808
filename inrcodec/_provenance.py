"""Where a figure comes from: the commit, the software and the machine that a record states."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


@lru_cache(maxsize=1)
def commit() -> str | None:
    """Return the commit that inrcodec runs from, or None where it is installed without git.

    Its first call decides: made before results are written, it does not call the tree dirty for
    them.
    """
    if not (_ROOT / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() or None


def code_version() -> str:
    """Return the commit that inrcodec runs from, or its version where there is no git."""
    return commit() or version("inrcodec")


def software_versions() -> dict[str, str]:
    """Return the versions that a published figure must state."""
    packages = ("inrcodec", "torch", "compressai", "av", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


@lru_cache(maxsize=1)
def processor_name() -> str:
    """Return the processor as it names itself, and that it has AVX2 alone where that is so.

    Virtual ones of several generations have one name.
    """
    from inrcodec.models import has_avx2_alone  # imports PyTorch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.processor() or platform.machine())
    return f"{name}, AVX2" if has_avx2_alone() else name


def cpu_name() -> str:
    """Return the processor and how many of its cores this process may run on."""
    return f"{processor_name()}, {num_cores()} cores"


def num_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

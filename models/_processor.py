"""What the CPU can do, as far as it decides how networks are computed and sized."""

from __future__ import annotations

from functools import cache

import torch

__all__ = ["has_avx2_alone"]


@cache
def has_avx2_alone() -> bool:
    """Whether it is an x86 processor with vectors of 8 floats and no longer ones."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"

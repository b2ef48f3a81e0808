"""What the CPU can do, as far as it decides how networks are computed and chosen."""

from __future__ import annotations

from functools import cache

import torch


@cache
def has_bf16() -> bool:
    """Whether it multiplies in bfloat16: by AVX-512 BF16 or AMX."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@cache
def has_avx2_alone() -> bool:
    """Whether it is an x86 processor with vectors of 8 floats and no longer ones."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"

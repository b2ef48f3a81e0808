"""What the CPU can do, as far as it decides the precision of a fit and of decoding."""

from __future__ import annotations

from functools import cache

import torch


@cache
def has_bf16() -> bool:
    """Whether it multiplies in bfloat16: by AVX-512 BF16 or AMX."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))

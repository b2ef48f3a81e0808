"""What a process does with memory that it frees."""

from __future__ import annotations

import torch

_KEPT_BYTES = (1 << 25) - (1 << 16)  # glibc: DEFAULT_MMAP_THRESHOLD_MAX, and room for its header


def keep_freed_memory() -> None:
    """Let glibc keep memory for the next step's or frame's maps.

    It returns freed blocks above a threshold to the system; getting their pages again takes a
    third of the time of decoding, and a seventh of a step of a fit. The threshold rises to the size
    of the largest such block freed, up to 32 MiB; this one's pages are never touched.
    """
    torch.empty(_KEPT_BYTES, dtype=torch.uint8)

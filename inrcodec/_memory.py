"""What a process does with memory that it frees."""

from __future__ import annotations

import ctypes
from functools import cache

# Of glibc's malloc.h. Blocks of 32 MiB are the largest that it does not map one by one.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_FREE_BYTES, _BLOCK_BYTES = (1 << 31) - 1, 1 << 25  # kept at the heap's end; the largest blocks


@cache
def keep_freed_memory() -> bool:
    """Let glibc keep memory for the next step's or frame's maps; return whether it does.

    It returns large freed blocks to the system, and what is free at the end of the heap. Getting
    their pages again takes a third of the time of decoding, and up to a fifth of a step of a fit.
    From this call on the process keeps up to 2 GiB there. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc; on Windows None is no library
        return False
    return all(
        mallopt(option, value) == 1
        for option, value in ((_M_TRIM_THRESHOLD, _FREE_BYTES), (_M_MMAP_THRESHOLD, _BLOCK_BYTES))
    )

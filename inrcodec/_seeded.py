"""Random numbers of one's own: a network drawn by a seed, the caller's generators as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOCK = threading.Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, the CPU's generator begins at `seed`; after it, it goes on as if nothing had been.

    Those of GPUs are left alone, as `torch.manual_seed` would not. The generator is the process's:
    one thread at a time.
    """
    with _LOCK, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield

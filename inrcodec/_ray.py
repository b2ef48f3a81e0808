"""A session of ray: the running one, or one of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inrcodec._signals import terminate_as_interrupt


@contextmanager
def ray_session() -> Iterator[Any]:
    """Give the module `ray`, which is initialised in this block."""
    import ray

    started = not ray.is_initialized()
    if started:
        # Ctrl-C is ours to handle; `RAY_ADDRESS` joins a cluster.
        ray.init(log_to_driver=False)
    try:
        with terminate_as_interrupt():  # once more: ray has taken SIGTERM to itself, and aborts
            yield ray
    finally:
        if started:
            ray.shutdown()

"""A step of a fit as a CUDA graph: launched at once, not kernel by kernel.

In: a function that computes on one GPU alone, the same kernels on the same memory at every call.
Out: what it returns, sooner. A step of a small network is hundreds of kernels, which the host takes
longer to launch than the GPU to compute (benchmarks/notes/gpu.md).
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]
"""Takes indices `(B,)` int64 on the device and returns a tensor there.

It keeps what it changes where that is, and does not wait for the device."""

_LOCK = threading.Lock()  # to record waits for the whole device, which nothing recorded may do
_AHEAD = 2  # steps that are launched before the one that the device is at is over
_WARM_STEPS = 2  # launched kernel by kernel: what is made at its first use is no part of a graph


class StepGraph:
    """A step that is recorded once, and replayed.

    Args:
        batch_size: B; batches of another size are computed without the graph.
        device: of CUDA.
    """

    def __init__(self, *, batch_size: int, device: torch.device) -> None:
        self._indices = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result = torch.empty(0, device=device)
        self._num_warm = 0
        self._ends: deque[torch.cuda.Event] = deque()  # of the steps that may not be over

    def __call__(self, step: Step, indices: Tensor) -> Tensor:
        """Take a step: the same function as before, or `renew` was called."""
        current = torch.cuda.current_stream(self._indices.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._take(step, indices)
            self._ends.append(self._stream.record_event())
        current.wait_stream(self._stream)
        if len(self._ends) > _AHEAD:  # else time would be up long before the work is done
            self._ends.popleft().synchronize()
        return result

    def renew(self) -> None:
        """Record the step anew, since it has changed: what it computes, or on what memory."""
        self._graph = None
        self._num_warm = 0

    def _take(self, step: Step, indices: Tensor) -> Tensor:
        if indices.shape != self._indices.shape:
            return _launch(step, indices)
        if self._graph is None and self._num_warm < _WARM_STEPS:
            self._num_warm += 1
            return _launch(step, indices)
        self._indices.copy_(indices)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            recording = torch.cuda.graph(
                self._graph, stream=self._stream, capture_error_mode="thread_local"
            )
            with _LOCK, recording:
                self._result = step(self._indices)
        self._graph.replay()
        return self._result.clone()


def _launch(step: Step, indices: Tensor) -> Tensor:
    with warnings.catch_warnings():
        # An optimiser that can be recorded warns when it is not.
        warnings.filterwarnings("ignore", message=".*capturable=True")
        return step(indices)

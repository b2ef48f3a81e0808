"""A step of a fit as a CUDA graph: launched at once, not kernel by kernel.

In: a function that computes on one GPU alone, the same kernels on the same memory at every call.
Out: what it returns, sooner. A step of a small network is hundreds of kernels, which the host takes
longer to launch than the GPU to compute (benchmarks/notes/gpu.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

_WARM_STEPS = 2  # launched kernel by kernel: what is made at its first use is no part of a graph


class StepGraph:
    """A step that is recorded once, and replayed.

    Args:
        step: takes indices `(B,)` int64 on the device and returns a tensor there. It keeps what it
            changes where it is, and does not wait for the device.
        batch_size: B; batches of another size are computed without the graph.
        device: of CUDA.
    """

    def __init__(
        self, step: Callable[[Tensor], Tensor], *, batch_size: int, device: torch.device
    ) -> None:
        self._step = step
        self._indices = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result = torch.empty(0, device=device)
        self._num_warm = 0

    def __call__(self, indices: Tensor) -> Tensor:
        """Take a step."""
        current = torch.cuda.current_stream(self._indices.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._take(indices)
        current.wait_stream(self._stream)
        return result

    def renew(self) -> None:
        """Record the step anew, since it has changed: what it computes, or on what memory."""
        self._graph = None
        self._num_warm = 0

    def _take(self, indices: Tensor) -> Tensor:
        if indices.shape != self._indices.shape:
            return self._launch(indices)
        if self._graph is None and self._num_warm < _WARM_STEPS:
            self._num_warm += 1
            return self._launch(indices)
        self._indices.copy_(indices)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            # Other threads may use the device meanwhile.
            with torch.cuda.graph(
                self._graph, stream=self._stream, capture_error_mode="thread_local"
            ):
                self._result = self._step(self._indices)
        self._graph.replay()
        return self._result.clone()

    def _launch(self, indices: Tensor) -> Tensor:
        with warnings.catch_warnings():
            # An optimiser that can be recorded warns when it is not.
            warnings.filterwarnings("ignore", message=".*capturable=True")
            return self._step(indices)

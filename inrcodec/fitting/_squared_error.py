"""Squared errors of fitted frames before they are frames: no shuffle, one pass, its own gradient.

A loss of squared errors does not care where a pixel lies. So the source is packed as the network's
last layer leaves its frames, instead of unpacking those: on a CPU, what is done to every pixel of a
frame takes a third of a step of a small network, and this a tenth (benchmarks/notes/step.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.fitting._losses import l2_of_mse, log_l2_of_mse
from inrcodec.models import Network

_PACKED_BYTES = 2 << 30

LOSSES_OF_MSE: dict[str, Callable[[Tensor], Tensor]] = {"l2": l2_of_mse, "log_l2": log_l2_of_mse}
"""Losses that need no more than each frame's mean squared error `(B,)`."""


class PackedError:
    """Mean squared errors `(B,)` of a network's packed output, see `Network.packing`.

    Args:
        network: with a `packing`.
        frames: `(N, 3, H, W)` uint8; a packed copy is kept on their device if that is small.
        scale: how many times smaller a side the frames are that the network leaves.
    """

    def __init__(self, network: Network, frames: Tensor, *, scale: int = 1) -> None:
        assert network.packing is not None  # the caller has looked
        frames = frames if scale == 1 else shrunk(frames, scale)
        self.stride = network.packing
        height, width = (side // scale for side in network.packed_size)
        self.padding = (0, width - frames.shape[3], 0, height - frames.shape[2])
        self.num_values = frames[0].numel()
        self.frames = frames
        self.targets: Tensor | None = None  # (N, 3 * s * s, h, w)
        if frames.numel() <= _PACKED_BYTES:
            first = self._pack(frames[:1])
            self.targets = torch.empty(
                (len(frames), *first.shape[1:]),
                dtype=first.dtype,
                device=first.device,
                memory_format=torch.channels_last,
            )
            for target, frame in zip(self.targets, frames, strict=True):
                target.copy_(self._pack(frame[None])[0])
        self.inside: Tensor | None = None  # (1, 3 * s * s, h, w): 0 where the frame is padded
        if any(self.padding):
            self.inside = self._pack(torch.ones_like(frames[:1])).float()

    def __call__(self, packed: Tensor, indices: Tensor) -> Tensor:
        """Compare `(B, 3 * s * s, h, w)` of the network with the frames at `indices` `(B,)`."""
        indices = indices.to(self.frames.device)
        if self.targets is None:
            targets = self._pack(self.frames[indices])
        else:
            targets = self.targets[indices]
        targets = targets.to(packed.device, non_blocking=True)
        inside = None if self.inside is None else self.inside.to(packed.device)
        mse: Tensor = _SquashedMse.apply(packed, targets, inside, self.num_values)
        return mse

    def _pack(self, frames: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(F.pad(frames, self.padding), self.stride)
        return blocks.contiguous(memory_format=torch.channels_last)


def shrunk(frames: Tensor, scale: int) -> Tensor:
    """Return the means of `scale` x `scale` pixels of frames `(N, 3, H, W)` uint8, rounded.

    Rows and columns that whole blocks leave are left out: `(N, 3, H // scale, W // scale)`.
    """
    height, width = (side // scale for side in frames.shape[2:])
    small = torch.empty(
        (*frames.shape[:2], height, width), dtype=frames.dtype, device=frames.device
    )
    for each, frame in zip(small, frames, strict=True):
        each.copy_(F.avg_pool2d(frame.float(), scale).round())
    return small


class _SquashedMse(torch.autograd.Function):
    """mean((sigmoid(2 z) - target / 255) ** 2) of each frame; sigmoid(2 z) = tanh(z) / 2 + 1 / 2.

    In the dtype of z: bfloat16 holds 0 to 255 exactly, and rounds differences by 2**-9 of them.
    """

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, target: Tensor, inside: Tensor | None, num_values: int
    ) -> Tensor:
        y = torch.sigmoid(2 * z)
        error = torch.sub(y, target.to(z.dtype), alpha=1 / 255)
        if inside is not None:
            error.mul_(inside.to(z.dtype))
        ctx.save_for_backward(y, error)
        ctx.num_values = num_values
        norms: Tensor = torch.linalg.vector_norm(error, dim=(1, 2, 3), dtype=torch.float32)
        return norms.square() / num_values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        y, error = ctx.saved_tensors
        slope = torch.ops.aten.sigmoid_backward(error, y)  # error * y * (1 - y)
        scale = gradients[0] * (4 / ctx.num_values)
        return slope.mul_(scale.view(-1, 1, 1, 1).to(slope.dtype)), None, None, None

"""FFNeRV's blocks (arXiv 2212.12294): compact convolution, flow-guided aggregation of frames."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._blocks import upsample_bilinear

__all__ = ["CompactConv", "aggregate"]


class CompactConv(nn.Module):
    """(B, C, h, w) -> (B, C_next, h, w): conv 3x3 in up to `groups` groups, conv 1x1.

    Where the groups do not divide C, up to an eighth of the channels goes to the 1x1 directly, so
    that any width has nearly as many groups, and the size nearly follows the width.
    """

    def __init__(self, in_channels: int, out_channels: int, *, groups: int) -> None:
        super().__init__()
        groups = next(g for g in range(groups, 0, -1) if 8 * (in_channels % g) <= in_channels)
        rest = in_channels % groups
        self.num_grouped = in_channels - rest
        middle = groups * math.ceil(out_channels / groups)
        self.grouped = nn.Conv2d(self.num_grouped, middle, 3, padding=1, groups=groups)
        self.mix = nn.Conv2d(middle + rest, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat((self.grouped(x[:, : self.num_grouped]), x[:, self.num_grouped :]), dim=1)
        z: Tensor = self.mix(y)
        return z


def aggregate(neighbours: Tensor, flow: Tensor, *, scale: int) -> Tensor:
    """Warp neighbours (B, A, 3, H, W) and add them up -> (B, 3, H, W).

    `flow` is (B, 3A, H / scale, W / scale): x and y of each neighbour's displacement in its own
    pixels, then the logarithm of each neighbour's weight.
    """
    batch, num_neighbours = neighbours.shape[:2]
    motion, weights = flow[:, : 2 * num_neighbours], flow[:, 2 * num_neighbours :]
    motion = upsample_bilinear(motion, scale) * scale  # (B, 2A, H, W)
    motion = motion.reshape(batch * num_neighbours, 2, *neighbours.shape[-2:])
    warped = _warp(neighbours.flatten(0, 1), motion).view_as(neighbours)
    weights = F.interpolate(weights.softmax(dim=1), scale_factor=scale)  # nearest
    return (warped * weights[:, :, None]).sum(dim=1)


def _warp(frames: Tensor, motion: Tensor) -> Tensor:
    """Read frames (N, 3, H, W) at each pixel plus `motion` (N, 2, H, W), at most at the border."""
    height, width = frames.shape[-2:]
    columns = torch.arange(width, device=frames.device) + motion[:, 0]  # (N, H, W)
    rows = torch.arange(height, device=frames.device)[:, None] + motion[:, 1]
    grid = torch.stack((2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1), dim=-1)
    return F.grid_sample(frames, grid, padding_mode="border", align_corners=True)

"""Feature grids over time: what a network driven by the frame index looks a frame up in.

In: frame indices (B,) int64. Out: features (B, C, h, w), interpolated linearly between the
stored time steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

__all__ = ["Levels", "Pyramids", "TemporalGrids", "num_values"]

Levels = Sequence[tuple[int, int]]
"""Time steps and channels of each resolution of a grid."""


class TemporalGrids(nn.Module):
    """Grids of several temporal resolutions, concatenated: (B,) int64 -> (B, sum of C, h, w).

    Frame i of n lies at (i + shift) / n of the clip, step j of T at (j + shift) / T: a shift of
    0.5 is align_corners=False. Before the first and after the last step their values hold.
    """

    def __init__(
        self,
        levels: Levels,
        shape: tuple[int, int],
        *,
        num_frames: int,
        shift: float = 0.0,
        init_bound: float | None = None,
    ) -> None:
        """Start from U(-init_bound, init_bound), by default Xavier's of a (T, C, h, w) tensor."""
        super().__init__()
        self.shape = shape
        self.num_frames = num_frames
        self.shift = shift
        self.levels = nn.ParameterList()
        area = math.prod(shape)
        for steps, channels in levels:
            # Two dimensions, which channels_last leaves alone.
            grid = nn.Parameter(torch.empty(steps, channels * area))
            bound = init_bound or math.sqrt(6 / ((steps + channels) * area))
            self.levels.append(nn.init.uniform_(grid, -bound, bound))

    def forward(self, frame_indices: Tensor) -> Tensor:
        """Look the frames up; positions are float32 whatever the type of the grids."""
        t = (frame_indices.to(torch.float32) + self.shift) / self.num_frames  # (B,)
        found = [_interpolate(grid, t * len(grid) - self.shift) for grid in self.levels]
        return torch.cat(found, dim=1).view(len(t), -1, *self.shape)


def _interpolate(grid: Tensor, position: Tensor) -> Tensor:
    """(T, F) at positions (B,), in steps -> (B, F).

    A product with hat functions: its gradient adds in a fixed order, that of an index does not.
    """
    steps = torch.arange(len(grid), device=grid.device)
    distance = (position.clamp(0, len(grid) - 1)[:, None] - steps).abs()  # (B, T)
    return (1 - distance).clamp(min=0).to(grid.dtype) @ grid


def num_values(levels: Levels, shape: tuple[int, int]) -> int:
    """How many values `TemporalGrids` stores."""
    return sum(steps * channels for steps, channels in levels) * math.prod(shape)


@dataclass(frozen=True)
class Pyramids:
    """Levels of HiNeRV's grids: each has half the time steps and twice the channels of the last.

    The base grids have the shape of the first feature map, the local grids of a stage that of its
    stride; they start with 2 * channels, which halve from stage to stage.
    """

    base_steps: int
    local_steps: int
    channels: int
    grid: tuple[int, int]
    strides: tuple[int, ...]

    @property
    def base(self) -> Levels:
        """Two levels for the stem."""
        return _pyramid(self.base_steps, self.channels, 2)

    @property
    def local(self) -> list[Levels]:
        """Three levels for each stage."""
        widths = [max(1, 2 * self.channels >> i) for i in range(len(self.strides))]
        return [_pyramid(self.local_steps, channels, 3) for channels in widths]

    @property
    def num_values(self) -> int:
        """Values of all grids."""
        local = zip(self.local, self.strides, strict=True)
        return num_values(self.base, self.grid) + sum(num_values(x, (s, s)) for x, s in local)

    def fitted(self, most: float, *, max_channels: int) -> Pyramids:
        """Double the channels while that takes at most `most` values; else shorten the steps."""
        pyramids = self
        while pyramids.channels < max_channels:
            wider = replace(pyramids, channels=2 * pyramids.channels)
            if wider.num_values > most:
                break
            pyramids = wider
        scale = min(1.0, most / pyramids.num_values)
        return replace(
            pyramids,
            base_steps=max(1, int(scale * self.base_steps)),
            local_steps=max(1, int(scale * self.local_steps)),
        )


def _pyramid(steps: int, channels: int, num_levels: int) -> list[tuple[int, int]]:
    return [(max(1, steps >> i), channels << i) for i in range(num_levels)]

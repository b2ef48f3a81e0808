"""Embeddings that are fitted themselves: one a frame, started from the clip's principal components.

In: indices (B,) int64. Out: embeddings (B, C, h, w). It takes the place of HNeRV's encoder
(arXiv 2304.02633), which spends a third of a step on what a table of parameters does as well, once
that table starts out as different for different frames as the frames are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EmbeddingTable", "principal_components"]

_CELL_SIDE = 8  # pixels that a cell of the grid is reduced to before its components are taken
_LEAST_DEVIATION = 1e-6  # of a component; the others are rounding


class EmbeddingTable(nn.Module):
    """A parameter (N, C, h, w): the embeddings of all frames of a clip."""

    def __init__(self, num_frames: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(num_frames, *shape))

    def forward(self, frame_indices: Tensor) -> Tensor:
        """Return the embeddings of the frames at these indices."""
        embeddings: Tensor = self.table[frame_indices]
        return embeddings

    @torch.no_grad()
    def calibrate(self, frames: Tensor, padded_size: tuple[int, int]) -> None:
        """Start from the principal components of the clip's cells.

        Channels beyond the clip's rank stay noise.

        Args:
            frames: (N, 3, H, W) uint8, all of the clip.
            padded_size: height and width of what the network decodes before it crops.
        """
        _, channels, rows, columns = self.table.shape
        values = principal_components(frames, padded_size, (rows, columns), most=channels)
        self.table[:, : values.shape[1]] = values.to(self.table.device)


def principal_components(
    frames: Iterable[Tensor], padded_size: tuple[int, int], grid: tuple[int, int], *, most: int
) -> Tensor:
    """Return what tells cells of a clip apart, (N, C, h, w), every channel of deviation 1.

    Every frame is reduced to 8x8 pixels a cell of the grid; over all cells of all frames, these are
    the components of largest variance, at most as many as the clip's rank.

    Args:
        frames: (3, H, W) uint8 each, all of the clip; taken once.
        padded_size: height and width of what the grid covers.
        grid: rows h and columns w.
        most: channels wished for.
    """
    cells = torch.cat([_cells(frame, padded_size, grid) for frame in frames])  # (N * h * w, 192)
    cells -= cells.mean(0)
    variances, components = torch.linalg.eigh(cells.T @ cells / len(cells))  # ascending
    known = min(most, int((variances > _LEAST_DEVIATION**2).sum()))
    order = torch.arange(len(variances) - 1, len(variances) - 1 - known, -1)
    values: Tensor = cells @ components[:, order] / variances[order].sqrt()  # (N * h * w, known)
    num_frames = len(cells) // math.prod(grid)
    return values.reshape(num_frames, *grid, known).permute(0, 3, 1, 2)


def _cells(frame: Tensor, padded_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Return the cells (h * w, 3 * 8 * 8) of a frame (3, H, W) uint8, float32 in [0, 1]."""
    height, width = padded_size
    padding = (0, width - frame.shape[2], 0, height - frame.shape[1])
    image = F.pad(frame[None].float() / 255, padding, mode="replicate")
    image = F.adaptive_avg_pool2d(image, (grid[0] * _CELL_SIDE, grid[1] * _CELL_SIDE))
    cells = F.unfold(image, _CELL_SIDE, stride=_CELL_SIDE)[0].T  # (h * w, 3 * 8 * 8)
    return cells.cpu()

"""Motion: frames are read from a canvas at displaced places, so that what moves is drawn once.

In: a canvas (B, 3, H', W') that a decoder drew, and displacements (B, 2, h, w) on its grid of
cells. Out: (B, 3, H, W), where pixel p is the canvas at p + d(p), bilinearly; d is upsampled
bilinearly too. The canvas is larger than the frame by about the same margin on all sides.

What a network draws for successive frames then differs where something changes, not wherever the
camera moves; FFNeRV (arXiv 2212.12294) warps neighbouring frames instead, which it must draw first.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "UNIT_PIXELS",
    "canvas_corner",
    "lay_on_canvas",
    "motion_of_cells",
    "read_canvas",
    "read_displaced",
]

UNIT_PIXELS = 4.0
"""What a displacement of 1 is: so that it is fitted as fast as an embedding of deviation 1."""

_BANDS = 8
_MOST = 2.0**14  # pixels; the largest canvas has as many


def canvas_corner(canvas_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return row and column of the canvas where a frame that does not move begins.

    >>> canvas_corner((352, 672), (320, 640))
    (16, 16)
    """
    return (canvas_size[0] - size[0]) // 2, (canvas_size[1] - size[1]) // 2


def read_canvas(canvas: Tensor, motion: Tensor, size: tuple[int, int], *, scale: int = 1) -> Tensor:
    """Return frames (B, 3, H, W) float32 of `size` (H, W).

    Args:
        canvas: (B, 3, H', W'); beyond its border it goes on as there.
        motion: (B, 2, h, w), in units of 4 pixels: columns to the right, then rows down. What is
            not finite counts as 0.
        size: of the frames, at most that of the canvas.
        scale: with s, the canvas is (B, 3, H' / s, W' / s) for the same frames and motion, and so
            are the frames that are returned, s x s of their pixels being one; what whole ones leave
            is left out.
    """
    pixels = torch.nan_to_num(motion.float(), 0.0, 0.0, 0.0) * UNIT_PIXELS
    pixels = pixels.clamp(-_MOST, _MOST)
    if scale == 1:
        return read_displaced(canvas, pixels, size)
    height, width = size
    rows, columns = canvas.shape[-2:]
    row, column = canvas_corner((scale * rows, scale * columns), size)
    corner = row / scale, column / scale
    return _read(canvas, pixels / scale, (height // scale, width // scale), corner)


def read_displaced(canvas: Tensor, pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """`read_canvas` for any channels (B, C, H', W') and displacements (B, 2, h, w) in pixels."""
    rows, columns = canvas.shape[-2:]
    return _read(canvas, pixels, size, canvas_corner((rows, columns), size))


def _read(
    canvas: Tensor, pixels: Tensor, size: tuple[int, int], corner: tuple[float, float]
) -> Tensor:
    height, width = size
    rows, columns = canvas.shape[-2:]
    row, column = corner
    top, left = int(row), int(column)  # motion is smooth: a part of a pixel is nothing to it
    device = pixels.device
    down = _interpolation(pixels.shape[2], rows, device=device)[top : top + height]
    across = _interpolation(pixels.shape[3], columns, device=device)
    with _exact(device):
        shift = down @ pixels @ across[left : left + width].T  # (B, 2, H, W)
    # grid_sample's coordinates: -1 and 1 are the outer edges of the canvas.
    x = torch.arange(width, dtype=torch.float32, device=device) + (column + 0.5)
    y = torch.arange(height, dtype=torch.float32, device=device)[:, None] + (row + 0.5)
    grid_x = (shift[:, 0] + x) * (2 / columns) - 1
    grid_y = (shift[:, 1] + y) * (2 / rows) - 1
    grid = torch.stack((grid_x, grid_y), 1).permute(0, 2, 3, 1)  # (B, H, W, 2)
    return _sampled(canvas.float(), grid)


def motion_of_cells(
    motion: Tensor, grid: tuple[int, int], canvas_size: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Resample motion (N, 2, r, c), in pixels, to a canvas's grid: (N, 2, h, w) in its unit.

    Args:
        motion: r x c cells cover a frame; beyond it motion is as at its border.
        grid: rows h and columns w of the canvas's cells.
        canvas_size: its height and width.
        size: height and width of a frame.
    """
    corner = canvas_corner(canvas_size, size)
    places = []  # of the centres of cells, -1 and 1 being the edges of the frame
    for cells, side, start, frame_side in zip(grid, canvas_size, corner, size, strict=True):
        pixels = (torch.arange(cells, device=motion.device) + 0.5) * (side / cells) - start
        places.append(pixels * (2 / frame_side) - 1)
    y, x = torch.meshgrid(*places, indexing="ij")
    at = torch.stack((x, y), -1).expand(len(motion), -1, -1, -1)
    resampled = F.grid_sample(motion.float(), at, padding_mode="border", align_corners=False)
    return resampled / UNIT_PIXELS


def lay_on_canvas(frame: Tensor, cells: Tensor, canvas_size: tuple[int, int]) -> Tensor:
    """Return what a frame (3, H, W) uint8 shows of its canvas, (3, H', W') uint8.

    The motion `cells` (2, h, w) of a place of the frame is taken for that of the same place of the
    canvas: it is smooth, and this is only where a fit starts.
    """
    height, width = frame.shape[1:]
    row, column = canvas_corner(canvas_size, (height, width))
    bottom, right = canvas_size[0] - height - row, canvas_size[1] - width - column
    padded = F.pad(frame[None].float(), (column, right, row, bottom), mode="replicate")
    return read_canvas(padded, -cells[None], canvas_size)[0].round().to(torch.uint8)


def _sampled(canvas: Tensor, grid: Tensor) -> Tensor:
    """Read canvases (B, C, H', W') at a grid (B, H, W, 2)."""
    batch, height, width, _ = grid.shape
    bands = math.gcd(height, _BANDS)
    if batch > 1 or bands == 1 or canvas.is_cuda or torch.is_grad_enabled():
        return F.grid_sample(canvas, grid, padding_mode="border", align_corners=False)
    # The CPU's threads share a batch, not a frame: bands of rows make one of it.
    grid = grid.reshape(bands, height // bands, width, 2)
    canvas = canvas.expand(bands, -1, -1, -1)
    rows = F.grid_sample(canvas, grid, padding_mode="border", align_corners=False)
    return rows.transpose(0, 1).reshape(1, -1, height, width)


def _exact(device: torch.device) -> AbstractContextManager[object]:
    """Keep products as exact as what they are of; the meta device knows no autocast."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _interpolation(num_cells: int, num_pixels: int, *, device: torch.device) -> Tensor:
    """Return the matrix (num_pixels, num_cells) that upsamples linearly, half-pixel centres."""
    pixels = torch.arange(num_pixels, device=device)
    at = (2 * pixels + 1) * num_cells - num_pixels  # over 2 * num_pixels, in cells: exact integers
    at = at.clamp(0, 2 * num_pixels * (num_cells - 1))
    first = at // (2 * num_pixels)
    share = (at % (2 * num_pixels)).float() / (2 * num_pixels)  # of the next cell
    weights = torch.zeros(num_pixels, num_cells, dtype=torch.float32, device=device)
    weights[pixels, first] = 1 - share
    weights[pixels, (first + 1).clamp(max=num_cells - 1)] += share
    return weights

"""Odd frame sizes: 4:2:0 encoders want even ones (SVT-AV1 and VVenC have a least size besides).

The frame grows to the right and downwards by repeating its last column and row. After decoding,
what was added is cut off again; in 4:2:0 an odd size's chroma planes are rounded up, so that
padding to even leaves them as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inrcodec.evaluation._reference import RawFrames

_CHUNK_FRAMES = 8


def padded_size(width: int, height: int, *, min_side: int) -> tuple[int, int]:
    """Return the even size of at least `min_side` that holds a frame, `(width, height)`.

    >>> padded_size(65, 49, min_side=16), padded_size(64, 48, min_side=64)
    ((66, 50), (64, 64))
    """
    return max(width + width % 2, min_side), max(height + height % 2, min_side)


def write_padded(frames: RawFrames, path: Path, *, size: tuple[int, int]) -> RawFrames:
    """Write raw frames grown to the even `size`, `(width, height)`; a few frames in memory."""
    width, height = size
    with path.open("wb") as file:
        for start in range(0, frames.num_frames, _CHUNK_FRAMES):
            stop = min(start + _CHUNK_FRAMES, frames.num_frames)
            for planes in _frames_of(frames, start, stop):
                for plane, divisor in planes:
                    file.write(_grow(plane, width // divisor, height // divisor).tobytes())
    return RawFrames(path, frames.pixel_format, width, height, frames.num_frames)


def _frames_of(
    frames: RawFrames, start: int, stop: int
) -> list[list[tuple[npt.NDArray[Any], int]]]:
    """The planes of each frame, and by how much each is smaller than the frame."""
    if frames.pixel_format == "rgb24":
        images = frames.rgb(start, stop).permute(0, 2, 3, 1).numpy()  # (n, H, W, 3)
        return [[(image, 1)] for image in images]
    y, u, v = frames.planes(start, stop)
    return [[(y[i], 1), (u[i], 2), (v[i], 2)] for i in range(stop - start)]


def _grow(plane: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[Any]:
    rows, columns = height - plane.shape[0], width - plane.shape[1]
    others = [(0, 0)] * (plane.ndim - 2)
    return np.pad(plane, [(0, rows), (0, columns), *others], mode="edge")

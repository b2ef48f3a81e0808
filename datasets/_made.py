"""What the synthetic clips show: frames that are computed, without anything to read.

The texture is value noise of three octaves, without end in all directions: a hash gives each
corner of a grid a value, in between they are interpolated. All is done in integers, so that a clip
has the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from inrcodec.datasets._synthetic import HEIGHT, NUM_FRAMES, WIDTH

__all__ = ["frames_of"]

_ONE = 256  # a pixel, in the fixed-point numbers that places are
_OCTAVES = ((6, 96), (4, 56), (2, 28))  # (binary logarithm of a cell's pixels, range)
_PAN = (3, 1)  # pixels a frame, right and down
_ZOOM = 2  # 256ths of the distance to the centre, a frame
_SCENES = 3
_RADIUS, _SPEED = 40, (4, 1)  # of the disc, in pixels, a frame
_GRAIN = 32  # range of the noise

Places = NDArray[np.int64]
Plane = NDArray[np.uint8]


def frames_of(kind: str) -> Iterator[tuple[Plane, Plane, Plane]]:
    """Yield the planes Y, U and V of the frames of a clip, 4:2:0, 8 bits.

    Args:
        kind: what the clip's name has after the slash.
    """
    draw = _DRAWN[kind]
    luma, chroma = _places(WIDTH, HEIGHT, 1), _places(WIDTH // 2, HEIGHT // 2, 2)
    for i in range(NUM_FRAMES):
        yield draw(*luma, i, 0), draw(*chroma, i, 1), draw(*chroma, i, 2)


def _pan(x: Places, y: Places, i: int, plane: int) -> Plane:
    return _texture(x + _PAN[0] * i * _ONE, y + _PAN[1] * i * _ONE, plane)


def _zoom(x: Places, y: Places, i: int, plane: int) -> Plane:
    scale = _ONE - _ZOOM * i
    middle_x, middle_y = WIDTH * _ONE // 2, HEIGHT * _ONE // 2
    x = middle_x + ((x - middle_x) * scale >> 8)
    return _texture(x, middle_y + ((y - middle_y) * scale >> 8), plane)


def _object(x: Places, y: Places, i: int, plane: int) -> Plane:
    left, up = (_RADIUS + _SPEED[0] * i) * _ONE, (HEIGHT // 3 + _SPEED[1] * i) * _ONE
    is_disc = (x - left) ** 2 + (y - up) ** 2 < (_RADIUS * _ONE) ** 2
    disc = _texture(x - left + 10_000 * _ONE, y - up, plane)
    return np.where(is_disc, disc, _texture(x, y, plane))


def _cuts(x: Places, y: Places, i: int, plane: int) -> Plane:
    scene = i * _SCENES // NUM_FRAMES
    return _texture(x + 10_000 * scene * _ONE, y, plane)


def _noise(x: Places, y: Places, i: int, plane: int) -> Plane:
    grain = _hash(x, y, 3 + plane + 3 * i) * _GRAIN >> 16
    return (_texture(x, y, plane) + grain - _GRAIN // 2).clip(0, 255).astype(np.uint8)


_DRAWN: dict[str, Callable[[Places, Places, int, int], Plane]] = {
    "pan": _pan,
    "zoom": _zoom,
    "object": _object,
    "cuts": _cuts,
    "noise": _noise,
}


def _places(width: int, height: int, stride: int) -> tuple[Places, Places]:
    """Return where the samples of a plane are, the first one's corner being (0, 0)."""
    middle = stride * _ONE // 2
    x = np.arange(width, dtype=np.int64) * stride * _ONE + middle
    y = np.arange(height, dtype=np.int64) * stride * _ONE + middle
    return np.broadcast_to(x, (height, width)), np.broadcast_to(y[:, None], (height, width))


def _texture(x: Places, y: Places, plane: int) -> Plane:
    """Return the texture at places, 0 to 255."""
    total = np.full(x.shape, 128, np.int64)
    for octave, (log_cell, levels) in enumerate(_OCTAVES):
        shift = log_cell + 8
        column, row = x >> shift, y >> shift
        across, down = (x >> log_cell) & (_ONE - 1), (y >> log_cell) & (_ONE - 1)
        kind = 100 + 3 * octave + plane
        first_column, first_row = int(column.min()), int(row.min())
        corners = _hash(
            np.arange(first_column, int(column.max()) + 2, dtype=np.int64)[None],
            np.arange(first_row, int(row.max()) + 2, dtype=np.int64)[:, None],
            kind,
        )
        column, row = column - first_column, row - first_row
        top = corners[row, column] * (_ONE - across) + corners[row, column + 1] * across
        bottom = corners[row + 1, column] * (_ONE - across) + corners[row + 1, column + 1] * across
        value = top * (_ONE - down) + bottom * down >> 16  # under 2**16
        total += (value - (1 << 15)) * levels >> 16
    return total.clip(0, 255).astype(np.uint8)


def _hash(x: Places, y: Places, kind: int) -> Places:
    """Return a number under 2**16 for each pair, as if at random (Wellons's lowbias32)."""
    mixed = (x * 0x9E3779B1 + y * 0x85EBCA77 + kind * 0xC2B2AE3D).astype(np.uint32)
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x7FEB352D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x846CA68B)
    mixed ^= mixed >> np.uint32(16)
    return (mixed >> np.uint32(16)).astype(np.int64)

"""Context modelling: how large the next values of a grid that changes in time will probably be.

In: what came before, integers `(channels, rows, columns)` a frame. Out: a level for every value of
the next frame, on a logarithmic scale of the magnitude that is expected of it; values of one level
share a table. Only integers are used, so that the decoder has the encoder's levels.

Every channel keeps, cell by cell, a mean of the magnitudes seen there and beside, in which the
latest frame counts half; a frame's gain says how much more or less than those means it has as a
whole. (Contexts of neighbouring magnitudes are those of image and wavelet coders, as in EBCOT,
Taubman 2000; here they choose a scale.)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_LEVELS = 48
"""Levels are under it; one more stands for a magnitude larger by half an octave."""

MAX_GAIN = 63
"""Largest magnitude of a frame's gain, in levels."""

_ONE = 128  # a magnitude of 1, as means have it
_OVERALL_SHIFT = 4  # a sixteenth of the channel's mean is expected everywhere


def _threshold(level: int) -> int:
    """The smallest integer t with t**4 >= 2**(2 * level - 1): from half a level below it."""
    root = math.isqrt(math.isqrt(1 << (2 * level - 1)))
    return root if root**4 >= 1 << (2 * level - 1) else root + 1


_THRESHOLDS = np.array([_threshold(level) for level in range(1, NUM_LEVELS)], np.int64)


class MagnitudeContext:
    """Follows the magnitudes of grids of integers from frame to frame.

    Args:
        channels: of a frame.
        rows: of a frame.
        columns: of a frame.

    >>> context = MagnitudeContext(1, 1, 4)
    >>> context.levels(gain=14).ravel().tolist()
    [14, 14, 14, 14]
    >>> context.update(np.array([[[0, 0, 8, 0]]]))
    >>> context.levels(gain=0).ravel().tolist()
    [8, 14, 19, 14]
    """

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        self._mean = np.zeros((channels, rows, columns), np.int64)  # of magnitudes, times _ONE
        self._is_new = True

    def levels(self, gain: int) -> NDArray[np.int64]:
        """Return the levels `(channels, rows, columns)` of the next frame, 0 to `NUM_LEVELS - 1`.

        Args:
            gain: of that frame, `-MAX_GAIN` to `MAX_GAIN`.
        """
        octaves = np.searchsorted(_THRESHOLDS, self._expected(), side="right")
        levels: NDArray[np.int64] = (octaves + gain).clip(0, NUM_LEVELS - 1)
        return levels

    def update(self, frame: NDArray[np.integer[Any]]) -> None:
        """Take the next frame, `(channels, rows, columns)` integers."""
        magnitudes = np.abs(frame.astype(np.int64))
        padded = np.pad(magnitudes, ((0, 0), (1, 1), (1, 1)), mode="edge")
        beside = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
        beside += padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
        seen = (4 * magnitudes + beside) * (_ONE // 8)
        self._mean = seen if self._is_new else self._mean + ((seen - self._mean) >> 1)
        self._is_new = False

    def suitable_gain(self, frame: NDArray[np.integer[Any]]) -> int:
        """Return the gain that suits the next frame, which only an encoder knows."""
        total = _ONE * float(np.abs(frame).sum()) + 1
        gain = round(2 * math.log2(total / float(self._expected().sum())))
        return min(max(gain, -MAX_GAIN), MAX_GAIN)

    def _expected(self) -> NDArray[np.int64]:
        """Magnitudes expected but for the gain, times `_ONE`, at least 1."""
        _, rows, columns = self._mean.shape
        overall = self._mean.sum((1, 2), keepdims=True) // (rows * columns)
        expected: NDArray[np.int64] = self._mean + (overall >> _OVERALL_SHIFT) + 1
        return expected

"""Embeddings change little from frame to frame: their symbols are coded as differences in time.

In: the symbols of one channel, frame after frame. Out: those of the first frame, then every
frame's difference from the frame before; and back. The choice is made tensor by tensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy import empirical_entropy_bits
from inrcodec.quantization._uniform import MAX_SYMBOL


def temporal_difference(symbols: NDArray[np.int32], num_frames: int) -> NDArray[np.int32]:
    """Return flat `symbols` of `num_frames` frames as differences from the frame before.

    >>> temporal_difference(np.array([5, 7, 6, 7], np.int32), 2).tolist()
    [5, 7, 1, 0]
    """
    frames = symbols.reshape(num_frames, -1)
    return np.diff(frames, axis=0, prepend=np.zeros_like(frames[:1])).ravel()


def temporal_sum(differences: NDArray[np.int32], num_frames: int) -> NDArray[np.int64]:
    """Undo `temporal_difference`; 64 bits wide, since hostile differences may add up to much."""
    return np.cumsum(differences.reshape(num_frames, -1), axis=0, dtype=np.int64).ravel()


def differences_pay(symbols: NDArray[np.int32], num_frames: int) -> bool:
    """Say whether the differences stay within the symbols' range and cost fewer bits."""
    if num_frames < 2:
        return False
    differences = temporal_difference(symbols, num_frames)
    if int(np.abs(differences).max(initial=0)) > MAX_SYMBOL:
        return False
    return empirical_entropy_bits(differences) < empirical_entropy_bits(symbols)

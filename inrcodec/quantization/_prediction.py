"""Embeddings change little from frame to frame, some of them little from cell to cell: predictions.

In: the symbols of one channel, `(frames, rows, columns)`. Out: what is left of them when they are
predicted from those before, exactly invertible; the choice is made channel by channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy import empirical_entropy_bits
from inrcodec.quantization._uniform import MAX_SYMBOL

Grid = tuple[int, int, int]
"""Frames, rows and columns of a channel."""


class Prediction(IntEnum):
    """What a channel's symbols are predicted from."""

    NONE = 0
    TIME = 1  # the same cell of the frame before
    TIME_AND_SPACE = 2  # and the change there by those of the cells to the left and above


def residuals_of(symbols: NDArray[np.int32], prediction: Prediction) -> NDArray[np.int32]:
    """Return what is left of symbols `(frames, rows, columns)`; of what is not there, all.

    >>> symbols = np.array([[[5, 7]], [[6, 8]]], np.int32)
    >>> residuals_of(symbols, Prediction.TIME).tolist()
    [[[5, 7]], [[1, 1]]]
    >>> residuals_of(symbols, Prediction.TIME_AND_SPACE).tolist()
    [[[5, 2]], [[1, 0]]]
    """
    if prediction == Prediction.NONE:
        return symbols
    changes: NDArray[np.int32] = np.diff(symbols, axis=0, prepend=np.zeros_like(symbols[:1]))
    if prediction == Prediction.TIME:
        return changes
    beside = np.zeros_like(changes)
    beside[:, 0, 1:] = changes[:, 0, :-1]
    beside[:, 1:, 0] = changes[:, :-1, 0]
    beside[:, 1:, 1:] = (changes[:, 1:, :-1] + changes[:, :-1, 1:]) >> 1
    changes -= beside
    return changes


def symbols_of(residuals: NDArray[np.int32], prediction: Prediction) -> NDArray[np.int64]:
    """Undo `residuals_of`, of channels `(..., frames, rows, columns)` at once.

    64 bits wide, since hostile residuals may add up to much.
    """
    symbols = residuals.astype(np.int64)
    if prediction == Prediction.TIME_AND_SPACE:
        rows, columns = symbols.shape[-2:]
        # A cell needs those to its left and above it: along diagonals all are there.
        for diagonal in range(1, rows + columns - 1):
            y = np.arange(max(0, diagonal - columns + 1), min(diagonal + 1, rows))
            x = diagonal - y
            left = symbols[..., y, np.maximum(x - 1, 0)]
            above = symbols[..., np.maximum(y - 1, 0), x]
            beside = (np.where(x > 0, left, above) + np.where(y > 0, above, left)) >> 1
            symbols[..., y, x] += beside
    if prediction != Prediction.NONE:
        np.cumsum(symbols, axis=-3, out=symbols)
    return symbols


def channels_of(
    residuals: NDArray[np.int32], predictions: Sequence[Prediction]
) -> list[NDArray[np.int64]]:
    """Return the flat symbols of channels of residuals `(C, frames, rows, columns)`.

    Those of one prediction together: a hostile grid may have as many diagonals as cells.
    """
    channels: dict[int, NDArray[np.int64]] = {}
    for prediction in set(predictions):
        members = [i for i, its in enumerate(predictions) if its == prediction]
        symbols = symbols_of(residuals[members], prediction)
        channels |= {i: one.ravel() for i, one in zip(members, symbols, strict=True)}
    return [channels[i] for i in range(len(predictions))]


def best_residuals(
    symbols: NDArray[np.int32], among: Iterable[Prediction] = Prediction
) -> tuple[Prediction, NDArray[np.int32]]:
    """Return the prediction that leaves the fewest bits, and its residuals, in the symbols' range.

    Args:
        symbols: `(frames, rows, columns)`.
        among: that may be returned, `Prediction.NONE` with them.
    """

    found = [(prediction, residuals_of(symbols, prediction)) for prediction in among]
    return min(found, key=lambda pair: _bits(pair[1]))


def _bits(residuals: NDArray[np.int32]) -> float:
    if int(np.abs(residuals).max(initial=0)) > MAX_SYMBOL:
        return float("inf")
    return empirical_entropy_bits(residuals)

"""Embeddings in context: the symbols of a segment's second group, with the tables that suit them.

In: channels of integers that run over frames. Out: residuals, a gain a frame, and a level a value;
and back, frame by frame, since a frame's levels depend on the frames before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._payload import SymbolReader
from inrcodec.bitstream._side import Levels
from inrcodec.entropy import MAX_GAIN, MagnitudeContext
from inrcodec.quantization import Grid, Prediction, best_residuals, channels_of


@dataclass(frozen=True)
class InContext:
    """The second group as it is coded."""

    predictions: list[Prediction]  # one a channel
    gains: NDArray[np.int32]  # (N,), one a frame
    residuals: NDArray[np.int32]  # (N, C, h, w)
    levels: NDArray[np.integer[Any]]  # (N, C, h, w)

    @classmethod
    def of(cls, channels: Sequence[NDArray[np.int32]], grid: Grid) -> InContext:
        """Predict the channels, flat symbols, and see what context their residuals have."""
        predicted = [best_residuals(channel.reshape(grid)) for channel in channels]
        predictions = [prediction for prediction, _ in predicted]
        residuals = np.stack([left for _, left in predicted], 1)
        context = MagnitudeContext(len(channels), *grid[1:])
        gains, levels = [], []
        for frame in residuals:
            gains.append(context.suitable_gain(frame))
            levels.append(context.levels(gains[-1]))
            context.update(frame)
        return cls(predictions, np.array(gains, np.int32), residuals, np.stack(levels))

    def symbols(self) -> NDArray[np.int32]:
        """Return the symbols in the order of coding: all gains, then the frames."""
        return np.concatenate([self.gains, self.residuals.ravel()])

    def channels(self) -> list[NDArray[np.int64]]:
        """Return the flat symbols of each channel; hostile ones may be out of range."""
        return channels_of(self.residuals.swapaxes(0, 1), self.predictions)


def read_in_context(
    reader: SymbolReader,
    *,
    predictions: list[Prediction],
    levels: Levels,
    grid: Grid,
) -> InContext:
    """Decode what `InContext.symbols` were coded to.

    Args:
        reader: of the payload, at its start.
        predictions: one a channel.
        levels: which tables they have.
        grid: of a channel.

    Raises:
        ValueError: the payload is no code of such a group.
    """
    num_frames, rows, columns = grid
    shape = len(predictions), rows, columns
    gains = reader.read(np.full(num_frames, levels.gain_table))
    if int(np.abs(gains).max(initial=0)) > MAX_GAIN:
        raise ValueError(f"gains are {gains.min()} to {gains.max()}, must be +-{MAX_GAIN}")
    residuals = np.empty((num_frames, *shape), np.int32)
    found = np.empty(residuals.shape, np.uint8)  # under NUM_LEVELS
    table_of_level = levels.table_of_level()
    context = MagnitudeContext(*shape)
    for frame, level, gain in zip(residuals, found, gains, strict=True):
        level[:] = context.levels(int(gain))
        frame[:] = reader.read(table_of_level[level].ravel()).reshape(shape)
        context.update(frame)
    return InContext(predictions, gains, residuals, found)

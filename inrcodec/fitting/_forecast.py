"""What a fit will reach, from its curve so far and from what rounding would take now.

In: the points of the curve, the rounding's noise, and how much of the work is left. Out: a PSNR and
its error.

The model: unquantised PSNR rises linearly in the logarithm of the steps, by `A + B * slope` a
doubling, where `slope` is what the last doubling gave; the noise that rounding would add now is
there at the end too, but for what the quantised phase wins back of it. The numbers were fitted to
recorded fits by `benchmarks/forecast.py`, `_NOISE_LEFT` was chosen: benchmarks/notes/forecast.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inrcodec.fitting._curve import CurvePoint

_LEAST_PROGRESS = 0.12
_LEAST_POINTS = 6
_A_DB, _B = 1.64, 0.294
_STEEPEST_DB = 3.0  # the first epochs' rise does not go on
_USUAL_DB = 1.0  # where the curve begins in the last doubling, after small frames
_NOISE_LEFT = 0.4  # at the end, of the noise as last measured
_QUANTIZED_DB = 1.07  # a doubling, once the fit goes through the quantiser
# The error is about so much, and so much more for each doubling of the steps that is left.
_ERROR_DB = 0.1
_ERROR_DB_A_DOUBLING = 1.0
_SMOOTHED = 0.1  # of the steps so far make the level at a step
_MEASURED_AT = (0.12, 0.4, 0.8)  # of the progress


@dataclass(frozen=True)
class Forecast:
    """What the coded file will probably have."""

    psnr_db: float  # mean over frames
    error_db: float  # as seen on recorded fits: two in three were nearer


@dataclass
class Rounding:
    """The noise that rounding all weights and embeddings at once would add, as last measured."""

    noise: float = 0.0  # mean squared error, of pixels in [0, 1]
    num_measured: int = 0  # of the times to measure it, those that are over

    def is_due(self, progress: float, points: Sequence[CurvePoint]) -> bool:
        """Whether to measure it again."""
        return _num_due(progress) > self.num_measured and len(points) >= _LEAST_POINTS

    def measured(self, loss_db: float, *, progress: float, at_db: float) -> None:
        """Take what rounding takes from a PSNR, both in dB."""
        self.noise = max(0.0, _mse(at_db - loss_db) - _mse(at_db))
        self.num_measured = _num_due(progress)


def forecast(
    points: Sequence[CurvePoint],
    *,
    used_share: float,
    noise: float = 0.0,
    quantized_from: int | None = None,
) -> Forecast | None:
    """Return the PSNR at the end of a fit, or None while it is too early to say.

    Args:
        points: of the curve so far.
        used_share: of the steps until the end, 0 to 1.
        noise: what rounding would add now to the mean squared error of pixels in [0, 1].
        quantized_from: the first step that went through the quantiser, if any has.
    """
    if used_share < _LEAST_PROGRESS or len(points) < _LEAST_POINTS:
        return None
    steps = points[-1].steps
    left = max(0.0, -math.log2(used_share))  # doublings
    error_db = _ERROR_DB + _ERROR_DB_A_DOUBLING * left
    if quantized := _quantized(points, quantized_from):
        _, now_db = _level(quantized, steps)
        return Forecast(now_db + left * _QUANTIZED_DB, error_db)
    now_octave, now_db = _level(points, steps)
    slope = _USUAL_DB
    if points[0].steps <= steps / 2:
        half_octave, half_db = _level(points, steps / 2)
        slope = (now_db - half_db) / (now_octave - half_octave)
        slope = min(max(slope, 0.0), _STEEPEST_DB)
    left = math.log2(steps / used_share) - now_octave
    unquantized_db = now_db + left * (_A_DB + _B * slope)
    return Forecast(_db(_mse(unquantized_db) + _NOISE_LEFT * noise), error_db)


def _quantized(points: Sequence[CurvePoint], quantized_from: int | None) -> list[CurvePoint]:
    """Return the points whose steps all went through the quantiser."""
    if quantized_from is None:
        return []
    begins = [0, *(p.steps for p in points)]
    return [p for begin, p in zip(begins, points, strict=False) if begin >= quantized_from]


def _level(points: Sequence[CurvePoint], steps: float) -> tuple[float, float]:
    """Return log2 of the steps and the PSNR there: means of the points just before `steps`."""
    near = [p for p in points if (1 - _SMOOTHED) * steps < p.steps <= steps]
    near = near or [min(points, key=lambda p: abs(p.steps - steps))]
    octave = sum(math.log2(p.steps) for p in near) / len(near)
    return octave, sum(p.psnr_db for p in near) / len(near)


def _num_due(progress: float) -> int:
    """How many of the times to measure the rounding are over."""
    return sum(progress >= at for at in _MEASURED_AT)


def _mse(psnr_db: float) -> float:
    return float(10 ** (-psnr_db / 10))


def _db(mse: float) -> float:
    return -10 * math.log10(mse)

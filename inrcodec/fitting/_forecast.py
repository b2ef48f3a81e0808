"""What a fit will reach, from its curve so far and from what rounding would take now.

In: the points of the curve, the rounding's noise, and how far the fit is. Out: a PSNR and its
error.

The model: as the learning rate falls along its cosine, unquantised PSNR rises in proportion, since
what steps of that length cannot settle is what is missing. How much a whole peak is worth is seen
in the last points, and before the rate has fallen by much it is taken to be usual. The noise that
rounding would add now is there at the end too, but for what the quantised phase wins back of it.
The numbers were chosen on recorded fits: benchmarks/notes/forecast.md, `benchmarks/forecast.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inrcodec.fitting._coarse import progress_at
from inrcodec.fitting._curve import CurvePoint

_LEAST_PROGRESS = 0.2  # before, what rises is not of the falling rate
_LEAST_POINTS = 6
_PEAK_DB = 6.0  # that the peak of the rate is worth, usually
_DOUBT = 0.01  # the variance of the rate, over its peak, at which half of what is seen is believed
_SEEN = 0.3  # of the progress so far shows it
_MOST_PEAK_DB = 20.0
_NOISE_LEFT = 0.4  # at the end, of the noise as last measured
_QUANTIZED_DB = 1.07  # a doubling, once the fit goes through the quantiser
# The error is about so much, and so much more at the peak of the rate.
_ERROR_DB, _ERROR_DB_AT_THE_PEAK = 0.1, 1.8
_SMOOTHED = 0.03  # of the whole progress: whose points make the level now
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
    coarse: float = 0.0,
) -> Forecast | None:
    """Return the PSNR at the end of a fit, or None while it is too early to say.

    Args:
        points: of the curve so far.
        used_share: of the steps until the end, 0 to 1, at the last point.
        noise: what rounding would add now to the mean squared error of pixels in [0, 1].
        quantized_from: the first step that went through the quantiser, if any has.
        coarse: the first part of the budget, whose steps take less time, 0 to 1.
    """
    now = progress_at(used_share, coarse=coarse)
    if now < _LEAST_PROGRESS or len(points) < _LEAST_POINTS:
        return None
    error_db = _ERROR_DB + _ERROR_DB_AT_THE_PEAK * _rate(now)
    if quantized := _quantized(points, quantized_from):
        left = max(0.0, -math.log2(used_share))  # doublings
        begin = (1 - _SMOOTHED) * points[-1].steps
        now_db = _mean([p.psnr_db for p in quantized if p.steps > begin])
        return Forecast(now_db + left * _QUANTIZED_DB, error_db)
    share_a_step = used_share / points[-1].steps
    progress = [progress_at(p.steps * share_a_step, coarse=coarse) for p in points]
    levels = [(_rate(at), p.psnr_db) for at, p in zip(progress, points, strict=True)]
    late = [level for at, level in zip(progress, levels, strict=True) if at >= (1 - _SEEN) * now]
    near = [level for at, level in zip(progress, levels, strict=True) if at > now - _SMOOTHED]
    rate, level_db = (_mean(each) for each in zip(*near, strict=True))
    unquantized_db = level_db + _worth_of_the_peak(late) * rate
    return Forecast(_db(_mse(unquantized_db) + _NOISE_LEFT * noise), error_db)


def _worth_of_the_peak(levels: Sequence[tuple[float, float]]) -> float:
    """Return by how many dB a learning rate at its peak keeps a fit down.

    The slope of PSNR in the rate, of (rate over its peak, dB), drawn to what is usual the more the
    less the rate has changed.
    """
    rates, decibels = zip(*levels, strict=True)
    mean_rate, mean_db = _mean(rates), _mean(decibels)
    variance = _mean([(rate - mean_rate) ** 2 for rate in rates])
    covariance = _mean([(rate - mean_rate) * (db - mean_db) for rate, db in levels])
    worth_db = (_DOUBT * _PEAK_DB - covariance) / (_DOUBT + variance)
    return min(max(worth_db, 0.0), _MOST_PEAK_DB)


def _rate(progress: float) -> float:
    """Return the learning rate over its peak, warmed up, on a cosine that ends at nothing."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _quantized(points: Sequence[CurvePoint], quantized_from: int | None) -> list[CurvePoint]:
    """Return the points whose steps all went through the quantiser."""
    if quantized_from is None:
        return []
    begins = [0, *(p.steps for p in points)]
    return [p for begin, p in zip(begins, points, strict=False) if begin >= quantized_from]


def _num_due(progress: float) -> int:
    """How many of the times to measure the rounding are over."""
    return sum(progress >= at for at in _MEASURED_AT)


def _mse(psnr_db: float) -> float:
    return float(10 ** (-psnr_db / 10))


def _db(mse: float) -> float:
    return -10 * math.log10(mse)

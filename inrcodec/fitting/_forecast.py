"""What a fit will reach, from its curve so far.

In: the points of the curve and how much of the work is left. Out: a PSNR and its error.

The model: PSNR rises linearly in the logarithm of the steps, by `A + B * slope` a doubling, where
`slope` is what the last doubling gave. A and B, and with them what the falling learning rate adds
and the quantiser takes, were fitted to recorded fits: benchmarks/notes/forecast.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inrcodec.fitting._curve import CurvePoint

_LEAST_PROGRESS = 0.12
_LEAST_POINTS = 6
_A_DB, _B = 0.45, 0.47
_STEEPEST_DB = 3.0  # the first epochs' rise does not go on
# The error is about so much, and so much more for each doubling of the steps that is left.
_ERROR_DB = 0.2
_ERROR_DB_A_DOUBLING = 0.5
_SMOOTHED = 0.1  # of the steps so far make the level at a step


@dataclass(frozen=True)
class Forecast:
    """What the coded file will probably have."""

    psnr_db: float  # mean over frames
    error_db: float  # as seen on recorded fits: two in three were nearer


def forecast(points: Sequence[CurvePoint], *, used_share: float) -> Forecast | None:
    """Return the PSNR at the end of a fit, or None while it is too early to say.

    Args:
        points: of the curve so far.
        used_share: of the work until the end, 0 to 1.
    """
    if used_share < _LEAST_PROGRESS or len(points) < _LEAST_POINTS:
        return None
    steps = points[-1].steps
    now_octave, now_db = _level(points, steps)
    half_octave, half_db = _level(points, steps / 2)
    slope = (now_db - half_db) / (now_octave - half_octave)
    slope = min(max(slope, 0.0), _STEEPEST_DB)
    left = math.log2(steps / used_share) - now_octave
    psnr_db = now_db + left * (_A_DB + _B * slope)
    return Forecast(psnr_db, _ERROR_DB + _ERROR_DB_A_DOUBLING * left)


def _level(points: Sequence[CurvePoint], steps: float) -> tuple[float, float]:
    """Return log2 of the steps and the PSNR there: means of the points just before `steps`."""
    near = [p for p in points if (1 - _SMOOTHED) * steps < p.steps <= steps]
    near = near or [min(points, key=lambda p: abs(p.steps - steps))]
    octave = sum(math.log2(p.steps) for p in near) / len(near)
    return octave, sum(p.psnr_db for p in near) / len(near)

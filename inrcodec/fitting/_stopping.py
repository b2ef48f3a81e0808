"""When a fit may begin its end before its budget makes it: at its goal, or on a plateau.

In: the points of its curve so far. Out: whether they say so. Nothing here knows the time, so that
a fit of epochs ends at the same step whenever it is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inrcodec.fitting._curve import CurvePoint
from inrcodec.fitting._losses import psnr_of_mse
from inrcodec.metrics import MAX_PSNR_DB

REST = 2 / 3
"""What a fit that begins its end may still use, over what it has used: as if that was 60 %."""

GOAL_MARGIN_DB = 0.5
"""How far unquantised PSNR must be above the goal; the annealing has then to give no more than
what the quantiser takes (benchmarks/notes/forecast.md)."""

CODED_MARGIN_DB = 0.25
"""How far quantised PSNR must be above the goal: the coded file's step is adjusted a little."""

# A doubling of the work is worth about 1 dB in an ordinary fit.
_FLAT_DB = 0.1
_FALLEN_DB = 0.5  # a fit that was better before has not converged: it is unstable
_LEAST_POINTS = 4  # in the second quarter of the work
_PERFECT_DB = 50.0  # an error of 0.8 in 255
_GOOD_DB = 40.0
_STUCK_DB = 1.0  # above the mean frame


def surely_passed(points: Sequence[CurvePoint], goal_db: float) -> bool:
    """Whether a fit that ends now will surely reach `goal_db` in the coded file."""
    return bool(points) and points[-1].psnr_db >= _with_margin(goal_db, GOAL_MARGIN_DB)


def coded_reaches(coded_psnr_db: float, goal_db: float) -> bool:
    """Whether so much, measured through the quantiser, is enough for the coded file."""
    return coded_psnr_db >= _with_margin(goal_db, CODED_MARGIN_DB)


def _with_margin(goal_db: float, margin_db: float) -> float:
    """Return what is surely enough: nothing is better than a perfect copy."""
    return min(goal_db + margin_db, MAX_PSNR_DB)


def is_perfect(points: Sequence[CurvePoint]) -> bool:
    """Whether nothing is left to gain: above 50 dB for some points."""
    last = points[-_LEAST_POINTS:]
    return len(last) == _LEAST_POINTS and all(p.psnr_db >= _PERFECT_DB for p in last)


def on_plateau(points: Sequence[CurvePoint]) -> bool:
    """Whether the last doubling of the work gained less than 0.1 dB.

    Compares the best point of the second half of the steps so far with the best of the quarter
    before: an ordinary fit gains about 1 dB there, against noise of a few tenths. Steps count from
    where the curve begins, which is after those of small frames.
    """
    if len(points) < 2:
        return False
    begin = 2 * points[0].steps - points[1].steps
    steps = points[-1].steps - begin
    late = [p.psnr_db for p in points if p.steps - begin > steps / 2]
    early = [p.psnr_db for p in points if steps / 4 < p.steps - begin <= steps / 2]
    if len(early) < _LEAST_POINTS:
        return False
    return -_FALLEN_DB < max(late) - max(early) < _FLAT_DB


def least_plateau_db(frames: Tensor) -> float:
    """Return the PSNR under which a plateau is no end: the fit may sit at the mean frame yet.

    Args:
        frames: `(N, 3, H, W)` uint8.
    """
    mean = torch.zeros(frames.shape[1:], device=frames.device)  # (3, H, W) in [0, 1]
    for frame in frames:
        mean += frame.float() / (255 * len(frames))
    errors = [torch.mean((frame.float() / 255 - mean) ** 2) for frame in frames]
    mean_frame_db = float(psnr_of_mse(torch.stack(errors)).mean())
    return min(mean_frame_db + _STUCK_DB, _GOOD_DB)

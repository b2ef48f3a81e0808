"""Bjøntegaard's two averages over a pair of rate-distortion curves: BD-rate and BD-PSNR.

In: points `(bpp, dB)` of an anchor and of a test codec. Out: per cent of rate at equal quality, or
dB at equal rate, averaged over what the curves have in common. Between its points a curve is a
monotone piecewise cubic (PCHIP, Fritsch and Carlson 1980) over log10 rate, as in the common test
conditions of JCT-VC and JVET (JCTVC-L1100, JVET-T2010). Bjøntegaard's own cubic through four points
(VCEG-M33) swings between distant ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

Points = Sequence[tuple[float, float]]
_Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]  # log10 rate, quality; ascending


def bd_rate(anchor: Points, test: Points) -> float:
    """Return how much more rate `test` takes than `anchor` at equal quality, in per cent.

    Negative is better. Any quality that grows with the rate will do in place of PSNR in dB.

    Args:
        anchor: pairs (bpp, dB), at least two (four are customary), in any order.
        test: likewise; the numbers of points may differ.

    Raises:
        ValueError: too few points, a rate that is not positive, a quality that does not grow with
            the rate, or curves that share no quality.

    >>> round(bd_rate([(0.1, 30), (0.2, 33)], [(0.08, 30), (0.16, 33)]), 6)
    -20.0
    """
    (rate_a, quality_a), (rate_t, quality_t) = _curve(anchor, "anchor"), _curve(test, "test")
    difference = _mean_difference((quality_a, rate_a), (quality_t, rate_t), axis="quality")
    return float((10**difference - 1) * 100)


def bd_psnr(anchor: Points, test: Points) -> float:
    """Return how much higher the quality of `test` is than `anchor`'s at equal rate, in dB.

    Arguments and errors are those of `bd_rate`; here the curves must share a range of rates.

    >>> round(bd_psnr([(0.1, 30), (0.2, 33)], [(0.1, 31), (0.2, 34)]), 6)
    1.0
    """
    return _mean_difference(_curve(anchor, "anchor"), _curve(test, "test"), axis="rate")


def shared_quality(anchor: Points, test: Points) -> float:
    """Return the part of its range of quality that the curve with the smaller one shares.

    Near 0 a BD-rate is of a sliver of the curves. Arguments and errors are those of `bd_rate`, but
    curves that share no quality give 0.

    >>> shared_quality([(0.1, 30), (0.2, 34)], [(0.1, 33), (0.2, 43)])
    0.25
    """
    (_, a), (_, t) = _curve(anchor, "anchor"), _curve(test, "test")
    shared = min(a[-1], t[-1]) - max(a[0], t[0])
    return max(0.0, float(shared / min(a[-1] - a[0], t[-1] - t[0])))


def _curve(points: Points, name: str) -> _Curve:
    if len(points) < 2:
        raise ValueError(f"{name}: {len(points)} points, must be >= 2")
    rate, quality = np.array(sorted(points), dtype=np.float64).T
    if not (np.isfinite(rate).all() and np.isfinite(quality).all() and rate[0] > 0):
        raise ValueError(f"{name}: rates must be positive and all numbers finite: {sorted(points)}")
    if not (np.diff(rate) > 0).all() or not (np.diff(quality) > 0).all():
        raise ValueError(f"{name}: quality must grow with the rate: {sorted(points)}")
    return np.log10(rate), quality


def _mean_difference(anchor: _Curve, test: _Curve, *, axis: str) -> float:
    """The mean of test minus anchor over the part of the x axis that both cover."""
    low = max(anchor[0][0], test[0][0])
    high = min(anchor[0][-1], test[0][-1])
    if low >= high:
        spans = [f"{x[0]:.4g} to {x[-1]:.4g}" for x, _ in (anchor, test)]
        unit = "log10 rate" if axis == "rate" else axis
        raise ValueError(f"the curves share no {axis}: {unit} {spans[0]} and {spans[1]}")
    areas = [float(PchipInterpolator(x, y).integrate(low, high)) for x, y in (anchor, test)]
    return (areas[1] - areas[0]) / float(high - low)

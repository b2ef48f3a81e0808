"""The first part of a fit, in which frames are small and steps take less time.

In: how far the fit is. Out: whether its steps are coarse, and how many steps it will have.

A network's last upsampling takes most of a step, and what it adds are details. Until the rest of
the network knows the coarse picture they are worth nothing (benchmarks/notes/flagship.md).
"""

from __future__ import annotations

import torch

from inrcodec.fitting._config import FitConfig
from inrcodec.models import Network, has_avx2_alone

# Of the budget, where it is not given; where a CPU is slow there are few steps, and they are better
# cheap.
_SHARE, _SHARE_OF_AVX2 = 0.1, 0.2
_STEP = 0.43  # that a coarse step takes of the time of another, on a CPU, nearly


def coarse_share(
    config: FitConfig, network: Network, *, device: torch.device, is_packed: bool
) -> float:
    """Return the first part of the budget in which steps are coarse, 0 to 1.

    Args:
        config: of the fit.
        network: to be fitted.
        device: where.
        is_packed: whether errors are those of `PackedError`.

    Raises:
        ValueError: the configuration wants coarse steps of a network that has none.
    """
    is_able = is_packed and network.coarse_stride > 1
    wished = config.coarse_fraction
    if wished and not is_able:
        raise ValueError(f"coarse_fraction is {wished}, must be 0 for this network")
    if wished is not None:
        return wished
    # As many steps are fewer visits of whole frames. GPUs were not measured.
    if not is_able or config.seconds is None or device.type != "cpu":
        return 0.0
    # The quantised phase is of whole frames.
    return min(_SHARE_OF_AVX2 if has_avx2_alone() else _SHARE, 1 - config.qat_fraction)


def expected_steps(steps: int, progress: float, *, coarse: float = 0.0) -> float:
    """How many steps a fit will have that took so many for this part of its time, over 0 to 1.

    Args:
        steps: so far.
        progress: used part of the budget.
        coarse: the first part of the budget, whose steps take less time.

    >>> expected_steps(50, 0.25)
    200.0
    >>> round(expected_steps(100, 0.1, coarse=0.1))
    487
    """
    return steps / share_of_steps(progress, coarse=coarse) if progress > 0 else 0.0


def progress_at(share: float, *, coarse: float = 0.0) -> float:
    """Return in which part of its time a fit makes this share of its steps: see `share_of_steps`.

    >>> progress_at(0.25), round(progress_at(0.205, coarse=0.1), 3)
    (0.25, 0.1)
    """
    until = share * (coarse + _STEP * (1 - coarse))
    return until if until < coarse else coarse + (until - coarse) / _STEP


def share_of_steps(progress: float, *, coarse: float = 0.0) -> float:
    """Return which part of its steps a fit has made in this part of its time, 0 to 1.

    >>> share_of_steps(0.25), round(share_of_steps(0.1, coarse=0.1), 3)
    (0.25, 0.205)
    """

    def steps_until(progress: float) -> float:
        return min(progress, coarse) + _STEP * max(0.0, progress - coarse)

    return steps_until(progress) / steps_until(1.0)

"""The curve of a fit: PSNR over steps, one point an epoch.

A point is the mean over all frames, each of them as it was when its step saw it: frames differ by
many dB, an epoch's means do not. The sums stay on the device until the epoch is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inrcodec.fitting._losses import psnr_of_mse

_LEAST_STEPS = 16  # a point; clips of fewer frames make one of several epochs


@dataclass(frozen=True)
class CurvePoint:
    """What an epoch, or a few short ones, reached."""

    steps: int  # at its end
    psnr_db: float  # mean over frames


class Curve:
    """Collects the points of a fit.

    Args:
        steps_per_epoch: of the fit.
        device: where the errors are computed.
    """

    def __init__(self, steps_per_epoch: int, device: torch.device) -> None:
        self.points: list[CurvePoint] = []
        self._steps_a_point = steps_per_epoch * -(-_LEAST_STEPS // steps_per_epoch)
        self._sum = torch.zeros((), device=device)
        self._count = 0
        self._num_added = 0  # steps

    def add(self, mse: Tensor, *, steps: int) -> bool:
        """Take the errors `(B,)` of step number `steps`; say whether they end a point.

        An epoch whose first steps were not taken makes no point.
        """
        self._sum = self._sum + psnr_of_mse(mse).sum()
        self._count += len(mse)
        self._num_added += 1
        if steps % self._steps_a_point:
            return False
        is_whole = self._num_added == self._steps_a_point
        if is_whole:
            self.points.append(CurvePoint(steps, float(self._sum) / self._count))
        self._sum, self._count, self._num_added = torch.zeros_like(self._sum), 0, 0
        return is_whole

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        points = [(point.steps, point.psnr_db) for point in self.points]
        sums = {"sum": self._sum, "count": self._count, "added": self._num_added}
        return {"points": points, **sums}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.points = [CurvePoint(*point) for point in state["points"]]
        self._sum = state["sum"].to(self._sum.device)
        self._count, self._num_added = state["count"], state["added"]

"""How a fit ends before its budget does: its clock, its curve, and what they decided.

In: the errors of every step, and a goal if there is one. Out: the progress that the schedules
follow, and why the fit ended.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from torch import Tensor

from inrcodec.fitting._clock import Clock
from inrcodec.fitting._coarse import share_of_steps
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._curve import Curve
from inrcodec.fitting._forecast import Forecast, Rounding, forecast
from inrcodec.fitting._stopping import (
    REST,
    coded_reaches,
    is_perfect,
    least_plateau_db,
    on_plateau,
    surely_passed,
)

_log = logging.getLogger(__name__)

# A plateau counts while the falling learning rate is between these parts of its peak. Near the
# peak a long fit is level too, since its steps are too long to settle: the falling rate gives it
# decibels yet. Once the rate is low, every fit is level.
_HIGH_RATE, _LOW_RATE = 0.75, 0.5


class Ending:
    """Decides when a fit ends; with a budget of epochs by what its steps gave, never by the time.

    Args:
        config: of the fit.
        goal_db: mean RGB PSNR of the coded file that is enough; None to look for a plateau.
        steps_per_epoch: of the fit.
        device: where the errors are computed.
    """

    def __init__(
        self,
        config: FitConfig,
        *,
        goal_db: float | None,
        steps_per_epoch: int,
        device: torch.device,
    ) -> None:
        self.goal_db = goal_db
        self.curve = Curve(steps_per_epoch, device)
        self.stopped = "budget"
        self._least: float | None = None
        self._warmup = config.warmup
        self._is_averaged = config.ema > 0  # so that errors are not of what will be stored
        self._is_forecastable = config.schedule == "cosine" and not self._is_averaged
        self._rounds_softly = config.rounds_softly
        self._asks_for_rounding = self._is_forecastable or config.rate_weight > 0
        self.rounding = Rounding()
        self.quantized_from: int | None = None  # the first step through the quantiser
        self._in_steps = config.epochs is not None
        self.clock = Clock(config.seconds or (config.epochs or 1) * steps_per_epoch)

    def consider(self, frames: Tensor, *, rate_factor: float, used: float) -> None:
        """Before the quantised phase: begin the end when the goal is passed, or on a plateau.

        Args:
            frames: `(N, 3, H, W)` uint8.
            rate_factor: the learning rate over its peak.
            used: steps or seconds.
        """
        if self.stopped != "budget":
            return
        points = self.curve.points
        if self.goal_db is not None:
            if not self._is_averaged and surely_passed(points, self.goal_db):
                self._end("goal", REST * used, used=used)
        elif is_perfect(points) or (
            self.clock.progress(used) >= self._warmup
            and _LOW_RATE <= rate_factor <= _HIGH_RATE
            and on_plateau(points)
            and points[-1].psnr_db >= self._least_db(frames)
        ):
            self._end("plateau", REST * used, used=used)

    def reached(self, coded_psnr_db: float, *, used: float) -> bool:
        """Whether so much, measured through the quantiser, reaches the goal: the fit is over."""
        if self.goal_db is None:
            return False
        _log.info("%.2f dB through the quantiser, goal %g dB", coded_psnr_db, self.goal_db)
        if not coded_reaches(coded_psnr_db, self.goal_db):
            return False
        self._end("goal", 0.0, used=used)
        return True

    def wants_rounding(self, progress: float) -> bool:
        """Whether it is time to measure what rounding at once would take, for those who ask."""
        return self._asks_for_rounding and self.rounding.is_due(progress, self.curve.points)

    def rounding_measured(self, loss_db: float, *, progress: float) -> None:
        """Take the mean PSNR in dB that rounding at once would take from the fit as it is."""
        self.rounding.measured(loss_db, progress=progress, at_db=self.curve.points[-1].psnr_db)

    def forecast(self, *, used: float, coarse: float = 0.0) -> Forecast | None:
        """Return what the fit will reach, once there is enough to see.

        None for schedules and averages of weights that it was not calibrated on.

        Args:
            used: steps or seconds.
            coarse: the first part of the budget, whose steps take less time.
        """
        if not self._is_forecastable:
            return None
        points, quantized_from = self.curve.points, None
        used_share = share_of_steps(self.clock.progress(used), coarse=coarse)
        if not self._rounds_softly:
            quantized_from = self.quantized_from
        elif self.quantized_from is not None:
            # Weights that are rounded little by little do not tell yet: what was foretold holds.
            before = [point for point in points if point.steps <= self.quantized_from]
            used_share *= before[-1].steps / points[-1].steps if before else 0.0
            points = before
        return forecast(
            points,
            used_share=used_share,
            noise=self.rounding.noise,
            quantized_from=quantized_from,
            coarse=coarse,
        )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        clock, curve = self.clock.state(), self.curve.state()
        return {
            "clock": clock,
            "curve": curve,
            "rounding": vars(self.rounding),
            "quantized_from": self.quantized_from,
            "stopped": self.stopped,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.clock.load_state(state["clock"])
        self.curve.load_state(state["curve"])
        self.rounding = Rounding(**state["rounding"])
        self.quantized_from = state["quantized_from"]
        self.stopped = state["stopped"]

    def _least_db(self, frames: Tensor) -> float:
        """Under which PSNR a plateau is no end, computed once."""
        if self._least is None:
            self._least = least_plateau_db(frames)
        return self._least

    def _end(self, reason: str, rest: float, *, used: float) -> None:
        rest = math.ceil(rest) if self._in_steps else rest
        if used + rest >= self.clock.end:
            return
        self.clock.finish_in(rest, used=used)
        self.stopped = reason
        points = self.curve.points  # none of a fit that reaches its goal in the first epoch
        at = f" at {points[-1].psnr_db:.2f} dB" if points else ""
        share = 100 * self.clock.used_share
        _log.info("%s%s: the fit ends at %.0f %% of its budget", reason, at, share)

"""What a fit says while it runs, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.fitting._curve import CurvePoint
from inrcodec.fitting._forecast import Forecast


@dataclass(frozen=True)
class FitProgress:
    """How far a fit is."""

    progress: float  # used part of the budget, 0 to 1
    steps: int
    frames_seen: int
    psnr_db: float  # of recent batches, as fitted
    quantized: bool  # whether those went through the quantiser
    seconds: float  # of the fit, those before a resume included
    forecast: Forecast | None = None  # of the PSNR at the end, once there is enough to see
    curve: Sequence[CurvePoint] = ()  # PSNR of all frames, epoch by epoch
    rounding: float = 0.0  # mean squared error that rounding at once would add, as last measured
    coarse: bool = False  # whether recent batches were of small frames


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves."""

    tensors: list[NDArray[np.float32]]  # flat: the decoder's parameters, then the embeddings
    step_codes: list[int]  # one a tensor
    global_step: float  # the one that the last steps went through
    steps: int
    seconds: float
    stopped: str = "budget"  # or what ended it earlier: "goal" or "plateau"
    used_share: float = 1.0  # of the budget
    in_context: bool = True  # whether embeddings are to be coded so

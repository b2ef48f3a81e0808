"""Presentation time stamps as runs of equal durations, exact also for variable frame rates.

In: one time stamp a frame, in units of the time base. Out: a first time stamp and runs of
(number of frames, duration), which is two integers for a constant frame rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TimeStamps:
    """When each frame is shown, in units of a time base."""

    first: int  # time stamp of frame 0
    runs: tuple[tuple[int, int], ...]  # (number of frames, duration of each), both > 0

    @classmethod
    def from_pts(cls, pts: Sequence[int], *, last_duration: int) -> TimeStamps:
        """Make them from strictly increasing `pts` and the duration of the last frame.

        Raises:
            ValueError: `pts` is empty or does not increase.

        >>> TimeStamps.from_pts([0, 512, 1024], last_duration=512)
        TimeStamps(first=0, runs=((3, 512),))
        """
        if not pts:
            raise ValueError("pts is empty, must hold one time stamp or more")
        durations = [b - a for a, b in pairwise(pts)] + [last_duration]
        if min(durations) <= 0:
            at = next(i for i, d in enumerate(durations) if d <= 0)
            raise ValueError(f"frame {at} lasts {durations[at]}, time stamps must increase")
        return cls(pts[0], tuple((len(list(run)), d) for d, run in groupby(durations)))

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return sum(count for count, _ in self.runs)

    @property
    def end(self) -> int:
        """When the last frame ends."""
        return self.first + sum(count * duration for count, duration in self.runs)

    def durations(self) -> NDArray[np.int64]:
        """`(num_frames,)` durations."""
        counts, durations = np.array(self.runs, np.int64).T
        return np.repeat(durations, counts)

    def pts(self) -> NDArray[np.int64]:
        """`(num_frames,)` time stamps."""
        durations = self.durations()
        return self.first + np.cumsum(durations) - durations

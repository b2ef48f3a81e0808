"""The clock of a fit: which part of its budget is used, and how it is told to end earlier.

In: what has been used, in steps or seconds. Out: the progress that the schedules follow, from 0 to
1. It never jumps: told to end earlier, it runs faster from where it is.
"""

from __future__ import annotations

from typing import Any


class Clock:
    """Progress over a budget that can be cut short.

    Args:
        budget: steps or seconds, more than 0.

    >>> clock = Clock(100)
    >>> clock.progress(40)
    0.4
    >>> clock.finish_in(30, used=40)
    >>> [round(clock.progress(used), 3) for used in (40, 55, 70)]
    [0.4, 0.7, 1.0]
    """

    def __init__(self, budget: float) -> None:
        self.budget = self.end = budget
        self._turned_at = self._turned_progress = 0.0

    def progress(self, used: float) -> float:
        """Return the progress when so much is used: 0 to 1."""
        if used >= self.end:
            return 1.0
        left = (used - self._turned_at) / (self.end - self._turned_at)
        return self._turned_progress + (1 - self._turned_progress) * left

    def finish_in(self, rest: float, *, used: float) -> None:
        """Run from the progress at `used` to 1 within `rest`, or within what is left if less."""
        progress = self.progress(used)
        self._turned_at, self._turned_progress = used, progress
        self.end = min(self.end, used + rest)

    def skip(self, *, since: float, used: float) -> None:
        """Leave what was used since then out of the progress: it runs faster, to the same end."""
        if used > since:
            progress = self.progress(since)
            self._turned_at, self._turned_progress = used, progress

    @property
    def used_share(self) -> float:
        """What is used at the end, as a share of the budget."""
        return self.end / self.budget

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return dict(vars(self))

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        vars(self).update(state)

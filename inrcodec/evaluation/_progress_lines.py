"""What an evaluation says on stderr: which point, what came out, how much is left to do."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._run_job import Outcome


class ProgressLines:
    """One line a point on stderr: which, what came out, how much is left."""

    def __init__(
        self, missing: Sequence[PointJob], *, kept: int, workers: int, enabled: bool
    ) -> None:
        self.total, self.kept, self.enabled = len(missing) + kept, kept, enabled
        self.done, self._workers = 0, workers
        self._left = list(missing)
        self._spent: dict[str, list[float]] = defaultdict(list)  # by codec or kind
        if enabled and kept:
            print(f"{kept} of {self.total} points are there already", file=sys.stderr)

    def announce(self, job: PointJob) -> None:
        """Say which point is next."""
        if self.enabled:
            print(f"[{self.kept + self.done + 1}/{self.total}] {job.title}", file=sys.stderr)

    def finish(self, outcome: Outcome) -> None:
        """Say what became of a point."""
        self.done += 1
        self._left.remove(outcome.job)
        if not outcome.error:
            for name in (outcome.job.codec, outcome.job.kind):
                self._spent[name].append(outcome.wall_seconds)
        if not self.enabled:
            return
        seconds = self.seconds_to_go()
        eta = f", about {_duration(seconds)} to go" if seconds else ""
        if outcome.error:
            text = f"failed: {outcome.error}"
        else:
            psnr = "" if outcome.psnr_db is None else f", {outcome.psnr_db:.2f} dB"
            text = f"{outcome.bpp:.4f} bpp{psnr}, encoded in {outcome.seconds:.1f} s"
        number = f"[{self.kept + self.done}/{self.total}]"
        print(f"{number} {outcome.job.title}: {text}{eta}", file=sys.stderr, flush=True)

    def seconds_to_go(self) -> float | None:
        """Estimate what is left: by other points of the codec, the budget, or points of its kind.

        None while a network is still to come of which none of these is known.
        """
        total = 0.0
        for job in self._left:
            bound = job.options.time_seconds if job.kind == "inr" else None
            known = self._spent[job.codec] or ([bound] if bound else self._spent[job.kind])
            if not known:
                return None
            total += sum(known) / len(known)
        return total / self._workers


def _duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> _duration(5000)
    '83 min'
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

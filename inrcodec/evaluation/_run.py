"""`inrcodec eval`: plan the points, measure those that are missing, write what they show.

In: sources and options. Out: a folder of records, tables, plots and one report. The same call
again measures only what is not there yet; a failed point is reported at the end, and tried again
by the next call.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inrcodec import datasets
from inrcodec.errors import Interrupted
from inrcodec.evaluation._consistency import check_after
from inrcodec.evaluation._executors import EXECUTORS, Outcome, execute
from inrcodec.evaluation._measure import remove_leftovers
from inrcodec.evaluation._plan import EvalOptions, PointJob, plan
from inrcodec.evaluation._points import clip_folder, is_done, load_points
from inrcodec.evaluation._reference import prepare_reference
from inrcodec.evaluation._scores import check_admitted
from inrcodec.evaluation._snapshots import save_snapshots

if TYPE_CHECKING:
    from inrcodec.evaluation._reference import Reference

_MAX_NAME = 100  # characters of a folder


@dataclass(frozen=True)
class EvalSummary:
    """What an evaluation did."""

    kept: int  # points that were there
    measured: int
    failures: tuple[str, ...] = ()  # one line a point


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


def evaluate(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    options: EvalOptions,
    workers: int = 1,
    executor: str = "local",
    progress: bool = False,
) -> EvalSummary:
    """Measure every point that `out` lacks.

    Args:
        sources: clips, as `inrcodec encode` takes them; a group such as `uvg`, or a folder of
            videos, is all of its clips.
        out: folder of the records; made where it is missing.
        options: what is measured, of every source alike.
        workers: points measured at once.
        executor: `local` or `ray`.
        progress: one line a point on stderr.

    Raises:
        EvaluationError: a record is of other settings, a curve or clip would be of two kinds of
            points, an extra is missing, or a clip is too small for every metric.
        VideoError: a source cannot be read.
        ValueError: an unknown codec, or an option out of its range.
        Interrupted: Ctrl-C, after the running fit's checkpoint was saved.
    """
    if workers < 1 or executor not in EXECUTORS:
        raise ValueError(f"workers is {workers}, executor {executor!r}; must be >= 1, local or ray")
    out = Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    references = _prepare(sources, out, options)
    jobs = [
        job for source, reference in references for job in plan(source, reference, out, options)
    ]
    missing = [job for job in jobs if not is_done(job.record, job.settings, redo=options.redo)]
    check_after(jobs, load_points(out))
    for _, reference in references:
        save_snapshots(reference.rgb, out, reference.name, "source")
    if executor == "local":  # a task of ray may decode on another machine
        remove_leftovers(out)
    kept = len(jobs) - len(missing)
    lines = ProgressLines(missing, kept=kept, workers=workers, enabled=progress)
    try:
        failures = _measure_all(missing, lines, workers=workers, executor=executor)
    except (Interrupted, KeyboardInterrupt):
        raise Interrupted(
            f"interrupted: {lines.kept + lines.done} of {len(jobs)} points are in {out}; "
            "the same command goes on from there"
        ) from None
    return EvalSummary(
        kept=lines.kept, measured=lines.done - len(failures), failures=tuple(failures)
    )


def _measure_all(
    jobs: Sequence[PointJob], lines: ProgressLines, *, workers: int, executor: str
) -> list[str]:
    """Measure points and return one line for each that failed."""
    failures = []
    one_by_one = executor == "local" and workers == 1
    if one_by_one and jobs:
        lines.announce(jobs[0])
    bars = lines.enabled and sys.stderr.isatty()
    for outcome in execute(jobs, executor=executor, workers=workers, progress=bars):
        lines.finish(outcome)
        if outcome.error:
            failures.append(f"{outcome.job.title}: {outcome.error}")
        if one_by_one and lines.done < len(jobs):
            lines.announce(jobs[lines.done])
    return failures


def _prepare(
    sources: Sequence[str | Path], out: Path, options: EvalOptions
) -> list[tuple[str, Reference]]:
    """Return each source with its raw frames on disk."""
    prepared: list[tuple[str, Reference]] = []
    clips = [clip for source in sources for clip in datasets.expand(str(source))]
    for source in dict.fromkeys(map(str, clips)):
        reference = prepare_reference(
            source,
            out / "reference" / clip_folder(source)[-_MAX_NAME:],
            frames=options.frames,
            resize=options.resize,
            crop=options.crop,
            raw=options.raw,
        )
        size = {"width": reference.rgb.width, "height": reference.rgb.height}
        check_admitted(options.metrics, **size)
        if reference.name in (other.name for _, other in prepared):
            raise ValueError(f"{source}: another source has the name {reference.name} too")
        prepared.append((source, reference))
    return prepared


def _duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> _duration(5000)
    '83 min'
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

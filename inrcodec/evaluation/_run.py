"""`inrcodec eval`: plan the points, measure those that are missing, write what they show.

In: sources and options. Out: a folder of records, tables, plots and one report. The same call
again measures only what is not there yet; a failed point is reported at the end, and tried again
by the next call.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from inrcodec._provenance import code_version
from inrcodec._signals import terminate_as_interrupt
from inrcodec.errors import Interrupted
from inrcodec.evaluation._check_options import check_options
from inrcodec.evaluation._clips import (
    prepare_clips,
    raw_of,
    settle_references,
    single_sources,
)
from inrcodec.evaluation._consistency import check_after
from inrcodec.evaluation._executors import EXECUTORS, execute
from inrcodec.evaluation._leftovers import remove_leftovers
from inrcodec.evaluation._lock import folder_lock
from inrcodec.evaluation._plan import EvalOptions, PointJob, plan
from inrcodec.evaluation._points import is_done, load_point, load_points
from inrcodec.evaluation._progress_lines import ProgressLines


@dataclass(frozen=True)
class EvalSummary:
    """What an evaluation did."""

    kept: int  # points that were there
    measured: int
    failures: tuple[str, ...] = ()  # one line a point


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
            points, an extra is missing, a clip is too small for every metric, or another evaluation
            is at work in `out`.
        VideoError: a source cannot be read.
        ValueError: an unknown codec, or an option out of its range; nothing was read or written.
        Interrupted: Ctrl-C or SIGTERM, after the running fit's checkpoint was saved.
    """
    out = Path(out).resolve()
    clips = check_call(sources, options, out=out, workers=workers, executor=executor)
    with folder_lock(out), terminate_as_interrupt():
        if executor == "local":  # a task of ray may decode on another machine
            remove_leftovers(out)
        jobs = _plan(clips, out, options, workers)
        return _measure_missing(
            jobs, out, options, workers=workers, executor=executor, progress=progress
        )


def check_call(
    sources: Sequence[str | Path], options: EvalOptions, *, out: Path, workers: int, executor: str
) -> list[str]:
    """Return the single clips of a call to `evaluate`; nothing is read or written.

    Raises:
        ValueError: an option is out of its range, two clips would have one folder, or `out` is a
            source, or called like one: a folder goes before a dataset of its name.
        DatasetError: a group has no such clip.
    """
    if workers < 1 or executor not in EXECUTORS:
        raise ValueError(f"workers is {workers}, executor {executor!r}; must be >= 1, local or ray")
    check_options(options)
    for source in sources:
        if Path(source).resolve() == out.resolve():
            raise ValueError(f"--out is {source}, and a source too; the results need a folder")
    return single_sources(sources, raw=options.raw)


def _plan(clips: Sequence[str], out: Path, options: EvalOptions, workers: int) -> list[PointJob]:
    """Return all jobs, every clip with its frames on disk."""
    jobs = []
    prepared = prepare_clips(clips, out, options)
    for source, reference in prepared:
        of_clip = replace(options, raw=raw_of(source, options.raw))
        jobs += plan(source, reference, out, of_clip, workers=workers)
    return jobs


def _measure_missing(
    jobs: Sequence[PointJob],
    out: Path,
    options: EvalOptions,
    *,
    workers: int,
    executor: str,
    progress: bool,
) -> EvalSummary:
    kept: list[PointJob] = []
    missing: list[PointJob] = []
    for job in jobs:
        (kept if is_done(job.record, job.settings, redo=options.redo) else missing).append(job)
    check_after(jobs, load_points(out))
    settle_references((job.reference for job in jobs), out)
    _warn_of_other_code(kept)
    lines = ProgressLines(missing, kept=len(kept), workers=workers, enabled=progress)
    try:
        failures = _measure_all(missing, lines, workers=workers, executor=executor)
    except (Interrupted, KeyboardInterrupt):
        there = sum(is_done(job.record, job.settings, redo=True) for job in jobs)
        raise Interrupted(
            f"interrupted: {there} of {len(jobs)} points are in {out}; "
            "the same command goes on from there"
        ) from None
    return EvalSummary(
        kept=lines.kept, measured=lines.done - len(failures), failures=tuple(failures)
    )


def _warn_of_other_code(kept: Iterable[PointJob]) -> None:
    """Say which commits kept fits are of, if not of this one: theirs may be another codec."""
    points = [load_point(job.record) for job in kept if job.kind == "inr"]
    now = code_version()
    others = [version for p in points if (version := p.code_version) not in (None, now)]
    if others:
        warnings.warn(
            f"{len(others)} of our points are kept that were fitted by other code "
            f"({', '.join(sorted(set(others)))}; this is {now}); to fit them again delete their "
            "records, or choose another --out",
            stacklevel=2,
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
    # Closed at once when something is raised here: workers are told to stop.
    with closing(execute(jobs, executor=executor, workers=workers, progress=bars)) as outcomes:
        for outcome in outcomes:
            lines.finish(outcome)
            if outcome.error:
                failures.append(f"{outcome.job.title}: {outcome.error}")
            if one_by_one and lines.done < len(jobs):
                lines.announce(jobs[lines.done])
    return failures

"""One job from its start to its record, wherever it runs: here, in a worker, or as a ray task.

In: a `PointJob`. Out: an `Outcome`, and the record or a file that says why there is none.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from inrcodec.errors import InrcodecError, Interrupted
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._points import save_failure, save_point


@dataclass(frozen=True)
class Outcome:
    """What became of a job: the point is in its record, or `error` says why not."""

    job: PointJob
    error: str | None = None
    bpp: float = 0.0
    psnr_db: float | None = None
    seconds: float = 0.0  # of the encode
    wall_seconds: float = 0.0  # of all: encode, decode, scores


def run_job(job: PointJob, *, progress: bool = False) -> Outcome:
    """Measure a point and write its record; a failure is written down, not raised.

    Raises:
        Interrupted: Ctrl-C during a fit.
        KeyboardInterrupt: Ctrl-C elsewhere.
    """
    from inrcodec._provenance import commit
    from inrcodec.evaluation import _kept_fit, _measure

    commit()  # of the code that runs: it may be another when the point is measured
    start = time.perf_counter()
    try:
        _kept_fit.begin(job)
        point = _measure.measure(job, progress=progress)
        save_point(job.record, point)
        _kept_fit.end(job)
    except Interrupted:
        raise
    except Exception as exc:  # one point must not take the others with it
        known = isinstance(exc, (InrcodecError, ValueError, OSError))
        message = " ".join(str(exc).split()) if known else f"{type(exc).__name__}: {exc}"
        with suppress(OSError):  # on a full disk
            save_failure(job.record, message)
        return Outcome(job, error=message)
    return Outcome(
        job,
        bpp=point.bpp,
        psnr_db=point.metrics.get("psnr_rgb"),
        seconds=point.encode_seconds or 0.0,
        wall_seconds=time.perf_counter() - start,
    )

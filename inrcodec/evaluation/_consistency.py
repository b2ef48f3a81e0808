"""Whether points may be drawn together: a clip is one set of frames, a curve one way of coding.

In: records, and jobs that will become records. Out: nothing, or an `EvaluationError` that names two
points and what differs between them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._points import EvalPoint, point_path, point_stem, series_name

_OF_CLIP = ("frames", "crop", "resize", "frames_crc32", "fps")
_FREE = ("quality", "metrics")  # what points of one curve may differ in


@dataclass(frozen=True)
class _Made:
    """How a point was made, or will be."""

    clip: str
    series: str
    name: str  # of its files
    settings: Mapping[str, Any]
    size: tuple[int, int, int]  # width, height, number of frames

    def clip_facts(self) -> dict[str, Any]:
        """What all points of a clip have in common."""
        size = dict(zip(("width", "height", "number of frames"), self.size, strict=True))
        return {**{name: self.settings.get(name) for name in _OF_CLIP}, **size}

    def series_facts(self) -> dict[str, Any]:
        """What all points of a curve have in common, on every clip."""
        return {n: v for n, v in self.settings.items() if n not in (*_OF_CLIP, *_FREE)}


def check_points(points: Iterable[EvalPoint]) -> None:
    """Check that points may be drawn together.

    Raises:
        EvaluationError: a clip's points are of other frames, or a curve's of other settings.
    """
    _check([_of_point(point) for point in points])


def check_after(jobs: Sequence[PointJob], kept: Iterable[EvalPoint]) -> None:
    """Check that a folder's records may be drawn together with what the jobs will add or replace.

    Raises:
        EvaluationError: as of `check_points`.
    """
    replaced = {job.record for job in jobs}
    others = [p for p in kept if _record(p, jobs) not in replaced]
    _check([*map(_of_point, others), *map(_of_job, jobs)])


def _check(made: Sequence[_Made]) -> None:
    first_of_clip: dict[str, _Made] = {}
    first_of_series: dict[str, _Made] = {}
    for point in made:
        first = first_of_clip.setdefault(point.clip, point)
        what = f"points of different frames are both called {point.clip}"
        _compare(first, point, (first.clip_facts(), point.clip_facts()), what)
        first = first_of_series.setdefault(point.series, point)
        what = f"points of different settings are both called {point.series}"
        _compare(first, point, (first.series_facts(), point.series_facts()), what)


def _compare(
    one: _Made, other: _Made, facts: tuple[Mapping[str, Any], Mapping[str, Any]], what: str
) -> None:
    a, b = (json.loads(json.dumps(dict(of))) for of in facts)  # tuples as records have them
    differ = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    if not differ:
        return
    words = [
        f"{made.clip}/{made.name} has " + ", ".join(f"{n} {of.get(n)!r}" for n in differ)
        for made, of in ((one, a), (other, b))
    ]
    raise EvaluationError(
        f"{what}: {'; '.join(words)}; choose another --out, measure all of them with --redo, or "
        "delete the records of one kind"
    )


def _of_point(point: EvalPoint) -> _Made:
    size = point.width, point.height, point.frames
    return _Made(point.clip, point.series, _stem(point), point.settings, size)


def _of_job(job: PointJob) -> _Made:
    video = job.reference.rgb
    size = video.width, video.height, video.num_frames
    series = series_name(job.codec, job.detail)
    return _Made(job.reference.name, series, job.stem, job.settings, size)


def _stem(point: EvalPoint) -> str:
    detail = point.preset if point.kind == "reference" else point.recipe
    return point_stem(point.codec, detail, point.quality or 0.0)


def _record(point: EvalPoint, jobs: Sequence[PointJob]) -> Path | None:
    """Return where a record of the jobs' folder lies."""
    return point_path(jobs[0].out, point.clip, _stem(point)) if jobs else None

"""The mean over clips, as papers report a data set: curves through the means of rate and quality.

In: points of several clips. Out: points that are means over all clips, of what every clip has: the
same curve at the same quality setting. Metrics are averaged on their own scale, before `metric_db`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from inrcodec.evaluation._points import EvalPoint, clip_folder

MEAN = "mean"


def mean_points(points: Sequence[EvalPoint]) -> list[EvalPoint]:
    """Return the mean points; none of a single clip, or where the clips have none in common.

    Points of which no metric is common to all clips have no mean either.
    """
    clips = list(dict.fromkeys(p.clip for p in points))
    if len(clips) < 2:
        return []
    alike: dict[tuple[str, float], dict[str, EvalPoint]] = {}
    for point in points:
        if point.quality is not None:  # of a curve, not of a comparison
            alike.setdefault((point.series, point.quality), {})[point.clip] = point
    name = mean_name(clips)
    label = f"mean over {len(clips)} clips"
    means = [
        _mean_point(list(of.values()), name=name, label=label)
        for of in alike.values()
        if len(of) == len(clips)
    ]
    return [mean for mean in means if mean.metrics]


def mean_name(clips: Iterable[str]) -> str:
    """Return a name for the mean that is not a clip's."""
    taken = {clip_folder(clip) for clip in clips}
    name = MEAN
    while name in taken:
        name += "_"
    return name


def _mean_point(points: Sequence[EvalPoint], *, name: str, label: str) -> EvalPoint:
    """Return the mean of points that differ in their clip only."""
    metrics = [metric for metric in points[0].metrics if all(metric in p.metrics for p in points)]
    return replace(
        points[0],
        clip=name,
        label=label,
        fps=points[0].fps if len({p.fps for p in points}) == 1 else 0.0,  # 0: no one number
        frames=round(_mean(p.frames for p in points)),
        bytes=round(_mean(p.bytes for p in points)),
        bpp=_mean(p.bpp for p in points),
        encode_seconds=_mean(p.encode_seconds or 0.0 for p in points),
        decode_seconds=_mean(p.decode_seconds or 0.0 for p in points),
        metrics={metric: _mean(p.metrics[metric] for p in points) for metric in metrics},
        parameters=None,
        kmac_per_pixel=None,
        per_frame={},
        snapshots={},
        stream="",
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)

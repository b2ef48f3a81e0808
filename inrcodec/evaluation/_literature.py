"""Which published curves may be drawn beside points of ours: those of the same frames.

In: published rows and measured points. Out: by clip, the curves of its protocol, and why others are
left out. A curve counts for a clip of the catalogue when size and number of frames are its own;
means over a data set (`uvg`) count for the mean over exactly its clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from inrcodec import datasets
from inrcodec.evaluation._mean import mean_name, mean_points
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._published import PublishedCurve, PublishedRow, published_curves
from inrcodec.evaluation._tables import metrics_of


@dataclass(frozen=True)
class Literature:
    """What is drawn of the literature beside one clip, or beside the mean over clips."""

    curves: tuple[PublishedCurve, ...] = ()
    reasons: tuple[str, ...] = ()  # one sentence for each protocol that is left out


def literature(rows: Sequence[PublishedRow], points: Sequence[EvalPoint]) -> dict[str, Literature]:
    """Return what may be drawn, by clip; of the mean by `mean_name`."""
    by_clip: dict[str, list[EvalPoint]] = {}
    for point in points:
        by_clip.setdefault(point.clip, []).append(point)
    found = {clip: _of_clip(rows, of_clip) for clip, of_clip in by_clip.items()}
    groups = datasets.groups()
    names = dict.fromkeys(row.clip for row in rows if row.clip in groups)
    means = [_of_mean(published_curves(rows, clip=name), groups[name], by_clip) for name in names]
    found[mean_name(by_clip)] = Literature(
        tuple(curve for mean in means for curve in mean.curves),
        tuple(reason for mean in means for reason in mean.reasons),
    )
    return found


def protocol_notes(curves: Sequence[PublishedCurve]) -> list[str]:
    """Return what must be said under published curves: whose they are, and how measured."""
    return list(dict.fromkeys(f"{c.source}: {c.protocol}" for c in curves))


def dataset_of(clip: str) -> str | None:
    """Return the catalogue's name of a clip that was given by name or as its file.

    >>> dataset_of("uvg-beauty"), dataset_of("Beauty_1920x1080_120fps_420_8bit_YUV")
    ('uvg/beauty', 'uvg/beauty')
    >>> dataset_of("holiday") is None
    True
    """
    for name in datasets.names():
        entry = datasets.entry(name)
        files = [Path(file).stem for file in (entry.file_name, *entry.other_names)]
        if clip == name.replace("/", "-") or any(fnmatch(clip, file) for file in files):
            return name
    return None


def _of_clip(rows: Sequence[PublishedRow], points: Sequence[EvalPoint]) -> Literature:
    name = dataset_of(points[0].clip)
    curves = published_curves(rows, clip=name) if name else []
    return _sort_out(curves, [points])


def _of_mean(
    curves: Sequence[PublishedCurve], members: Sequence[str], by_clip: dict[str, list[EvalPoint]]
) -> Literature:
    """Sort out curves that are means over the clips `members`."""
    here = {dataset_of(clip) for clip in by_clip}
    if not here & set(members):
        return Literature()
    if missing := [name for name in members if name not in here]:
        return _left_out(curves, f"they are means that include {', '.join(missing)}")
    if here != set(members):
        return _left_out(curves, f"they are means over {len(members)} clips, there are others here")
    if not mean_points([p for points in by_clip.values() for p in points]):
        return _left_out(curves, "no codec has the same points on all clips")
    return _sort_out(curves, list(by_clip.values()))


def _sort_out(curves: Sequence[PublishedCurve], clips: Sequence[Sequence[EvalPoint]]) -> Literature:
    """Keep the curves whose frames are those of all clips and whose metric was measured."""
    kept: list[PublishedCurve] = []
    left_out: dict[str, list[PublishedCurve]] = {}
    for curve in curves:
        reason = next(filter(None, (_misfit(curve, points) for points in clips)), None)
        if reason:
            left_out.setdefault(reason, []).append(curve)
        else:
            kept.append(curve)
    reasons = [_left_out(of, reason).reasons for reason, of in left_out.items()]
    return Literature(tuple(kept), tuple(r for of in reasons for r in of))


def _misfit(curve: PublishedCurve, points: Sequence[EvalPoint]) -> str | None:
    """Return why a curve is not comparable with the points of a clip, None where it is."""
    first = points[0]
    name = dataset_of(first.clip)
    frames = datasets.entry(name).num_frames if name else 0
    resized = " (resized)" if first.settings.get("resize") else ""
    if resized or (first.width, first.height, first.frames) != (*curve.size, frames):
        width, height = curve.size
        return (
            f"they are of {frames} frames of {width}x{height}, {first.clip} is here "
            f"{first.frames} frames of {first.width}x{first.height}{resized}"
        )
    if curve.metric not in metrics_of(points):
        return f"{curve.metric} was not measured on {first.clip}"
    return None


def _left_out(curves: Sequence[PublishedCurve], reason: str) -> Literature:
    names = "; ".join(dict.fromkeys(curve.label for curve in curves))
    return Literature(reasons=(f"{names}: not drawn, {reason}",) if curves else ())

"""Records as the plain data that the report's script draws.

In: `EvalPoint`s. Out: dictionaries of JSON values; metrics are on the scale of `metric_db`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inrcodec.evaluation._points import EvalPoint, group_by_series, metric_db
from inrcodec.evaluation._published import PublishedCurve
from inrcodec.evaluation._style import series_styles
from inrcodec.evaluation._tables import (
    LOWER_IS_BETTER,
    METRIC_LABELS,
    bd_matrix,
    find_anchor,
    metrics_of,
)


def clip_data(
    points: Sequence[EvalPoint],
    *,
    anchor: str,
    published: Sequence[PublishedCurve],
    viewer: Mapping[str, Any],
    with_bd: bool = True,
) -> dict[str, Any]:
    """Return what the report shows of one clip; without BD-rates where no curves are meant."""
    curves = group_by_series(points)
    styles = series_styles(curves)
    metrics = metrics_of(points)
    first = points[0]
    return {
        "name": first.clip,
        "label": first.label,
        "width": first.width,
        "height": first.height,
        "frames": first.frames,
        "fps": first.fps,
        "metrics": metrics,
        "anchor": find_anchor(curves, anchor),
        "series": [
            {
                "name": series,
                "kind": curve[0].kind,
                "color": styles[series].color,
                "darkColor": styles[series].dark_color,
                "marker": styles[series].marker,
                "width": styles[series].width,
                "points": [_point(point) for point in curve],
            }
            for series, curve in curves.items()
        ],
        "published": [_published(curve) for curve in published],
        "bd": {m: bd_matrix(curves, m) for m in metrics if with_bd and len(curves) > 1},
        "viewer": viewer,
    }


def metric_labels() -> dict[str, dict[str, Any]]:
    """Return label and direction of every metric."""
    return {
        name: {"label": label, "lowerIsBetter": name in LOWER_IS_BETTER}
        for name, label in METRIC_LABELS.items()
    }


def provenance(points: Sequence[EvalPoint]) -> list[str]:
    """Return what must be said of the measurement: devices, seeds, versions, commits."""
    versions: dict[str, set[str]] = {}
    for point in points:
        for name, version in point.versions.items():
            versions.setdefault(name, set()).add(version)
    said = {
        "device": {p.device for p in points if p.device},
        "seed": {str(p.seed) for p in points if p.seed is not None},
        "commit": {p.commit for p in points if p.commit},
        **versions,
    }
    return [f"{name}: {', '.join(sorted(values))}" for name, values in said.items() if values]


def _point(point: EvalPoint) -> dict[str, Any]:
    shown = {name: metric_db(name, value) for name, value in point.metrics.items()}
    per_frame = {
        name: [round(metric_db(name, value), 4) for value in values]
        for name, values in point.per_frame.items()
    }
    return {
        "quality": point.quality,
        "bytes": point.bytes,
        "bpp": point.bpp,
        "encodeSeconds": point.encode_seconds,
        "decodeSeconds": point.decode_seconds,
        "metrics": shown,
        "msSsim": point.metrics.get("ms_ssim"),
        "perFrame": per_frame,
        "parameters": point.parameters,
        "kmacPerPixel": point.kmac_per_pixel,
        "device": point.device,
    }


def _published(curve: PublishedCurve) -> dict[str, Any]:
    return {
        "name": curve.label,
        "metric": curve.metric,
        "protocol": curve.protocol,
        "source": curve.source,
        "bpp": [bpp for bpp, _ in curve.points],
        "values": [metric_db(curve.metric, value) for _, value in curve.points],
    }

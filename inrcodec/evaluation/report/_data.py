"""Records as the plain data that the report's script draws.

In: `EvalPoint`s. Out: dictionaries of JSON values; metrics are on the scale of `metric_db`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inrcodec.evaluation._bd_tables import BdMatrix, find_anchor
from inrcodec.evaluation._literature import Literature
from inrcodec.evaluation._points import EvalPoint, group_by_series, metric_db
from inrcodec.evaluation._published import PublishedCurve
from inrcodec.evaluation._style import Style, published_styles
from inrcodec.evaluation._tables import (
    METRIC_LABELS,
    axis_label,
    metric_digits,
    metric_name,
    metrics_of,
    size_text,
)
from inrcodec.evaluation.report._viewer import nearest_points


def clip_data(
    points: Sequence[EvalPoint],
    *,
    anchor: str,
    styles: Mapping[str, Style],
    bd: Mapping[str, BdMatrix],
    published: Literature,
    viewer: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the report shows of one clip, or of the mean over clips."""
    curves = group_by_series(points)
    shown = nearest_points(points)
    literature = published_styles(curve.label for curve in published.curves)
    first = points[0]
    return {
        "label": first.label,
        "width": first.width,
        "frames": first.frames,
        "fps": first.fps,
        "metrics": metrics_of(points),
        "anchor": find_anchor(curves, anchor),
        "series": [
            {
                "name": series,
                "kind": curve[0].kind,
                **_look(styles[series]),
                "points": [_point(point) for point in curve],
                "perFrame": _per_frame(shown[series]),
            }
            for series, curve in curves.items()
        ],
        "published": [_published(c, literature[c.label]) for c in published.curves],
        "notPublished": list(published.reasons),
        "bd": bd if len(curves) > 1 else {},
        "viewer": viewer,
    }


def metric_words() -> dict[str, dict[str, Any]]:
    """Return how every metric is called, and with how many decimals it is shown."""
    return {
        metric: {
            "name": metric_name(metric),
            "label": label,
            "axis": axis_label(metric),
            "digits": metric_digits(metric),
        }
        for metric, label in METRIC_LABELS.items()
    }


def provenance(points: Sequence[EvalPoint]) -> list[str]:
    """Return what must be said of the measurement: cut, budget, devices, versions and so on."""
    versions: dict[str, set[str]] = {}
    for point in points:
        for name, version in point.versions.items():
            versions.setdefault(name, set()).add(version)
    said = {
        "crop": {size_text(p.settings.get("crop")) for p in points} - {""},
        "resize": {size_text(p.settings.get("resize")) for p in points} - {""},
        "budget of a fit": {p.budget for p in points} - {""},
        "device": {p.device for p in points if p.device},
        "seed": {str(p.seed) for p in points if p.seed is not None},
        "commit": {p.commit for p in points if p.commit},
        **versions,
    }
    return [f"{name}: {', '.join(sorted(values))}" for name, values in said.items() if values]


def _look(style: Style) -> dict[str, Any]:
    return {
        "color": style.color,
        "darkColor": style.dark_color,
        "marker": style.marker,
        "width": style.width,
        "dash": style.dash,
    }


def _point(point: EvalPoint) -> dict[str, Any]:
    return {
        "quality": point.quality,
        "budget": point.budget,
        "bytes": point.bytes,
        "bpp": point.bpp,
        "encodeSeconds": point.encode_seconds,
        "decodeSeconds": point.decode_seconds,
        "metrics": {name: metric_db(name, value) for name, value in point.metrics.items()},
        "parameters": point.parameters,
        "kmacPerPixel": point.kmac_per_pixel,
    }


def _per_frame(point: EvalPoint) -> dict[str, list[float]]:
    return {
        name: [round(metric_db(name, value), 4) for value in values]
        for name, values in point.per_frame.items()
    }


def _published(curve: PublishedCurve, style: Style) -> dict[str, Any]:
    return {
        "name": curve.label,
        "metric": curve.metric,
        "protocol": curve.protocol,
        "source": curve.source,
        **_look(style),
        "bpp": [bpp for bpp, _ in curve.points],
        "values": [metric_db(curve.metric, value) for _, value in curve.points],
    }

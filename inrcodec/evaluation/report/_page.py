"""The page itself: template, style, script, Plotly and data in one HTML file.

Its content security policy lets the browser load nothing at all from elsewhere.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from inrcodec.bitstream import write_atomically
from inrcodec.evaluation._bd_tables import BdMatrix, bd_matrix, common_anchor, mean_matrix
from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._literature import Literature
from inrcodec.evaluation._mean import mean_points
from inrcodec.evaluation._points import EvalPoint, group_by_series
from inrcodec.evaluation._style import series_styles
from inrcodec.evaluation._tables import metrics_of
from inrcodec.evaluation.report._data import clip_data, metric_words, provenance
from inrcodec.evaluation.report._pictures import embed
from inrcodec.evaluation.report._viewer import choose, viewer_data

_FRAMES_HEADINGS = {"eval": "Frames at equal bytes", "compare": "Frames side by side"}


def write_report(
    points: Sequence[EvalPoint],
    path: Path,
    *,
    out: Path,
    anchor: str,
    published: Mapping[str, Literature] | None = None,
    log: bool = False,
    title: str = "Rate-distortion report",
    kind: str = "eval",
) -> None:
    """Write the report of some points.

    Args:
        points: of one clip or several.
        path: the HTML file.
        out: the folder that the points' snapshots are relative to.
        anchor: codec or curve that is marked in the BD-rates.
        published: curves of the literature by clip; of the mean over clips by `mean_name`.
        log: whether the rate axis starts out logarithmic.
        title: of the page.
        kind: `eval`, of curves, or `compare`, of one point a video: without BD-rates.

    Raises:
        EvaluationError: Plotly is missing.
    """
    data = {
        "title": title,
        "kind": kind,
        "log": log,
        "metrics": metric_words(),
        "provenance": provenance(points),
        "clips": _clips(points, out, anchor=anchor, published=published or {}, kind=kind),
    }
    write_atomically(path, render_page(data).encode())


def render_page(data: Mapping[str, Any]) -> str:
    """Return the HTML of a report's data.

    Raises:
        EvaluationError: Plotly is missing.
    """
    require_extra("eval", "a report")
    from plotly.offline import get_plotlyjs

    folder = resources.files("inrcodec.evaluation.report")
    names = {"template": "template.html", "style": "style.css", "script": "report.js"}
    parts = {name: (folder / file).read_text(encoding="utf-8") for name, file in names.items()}
    values = {
        "TITLE": html.escape(str(data["title"])),
        "FRAMES": _FRAMES_HEADINGS[data["kind"]],
        "STYLE": parts["style"],
        "DATA": _embedded_json(data),
        "SCRIPT": parts["script"],
        "PLOTLY": get_plotlyjs(),
    }
    # In one pass: what is put in may itself look like a mark.
    return re.sub(r"%%([A-Z]+)%%", lambda mark: values[mark[1]], parts["template"])


def _clips(
    points: Sequence[EvalPoint],
    out: Path,
    *,
    anchor: str,
    published: Mapping[str, Literature],
    kind: str,
) -> list[dict[str, Any]]:
    """Return every clip, then the mean over them where there is one; a curve keeps its look."""
    names = dict.fromkeys(p.clip for p in points)
    clips = [[p for p in points if p.clip == name] for name in names]
    means = mean_points(points)
    choices = [choose(of_clip, out) for of_clip in clips]
    compression, uris = embed([choice.files for choice in choices])
    viewers = [
        viewer_data(of_clip, choice, compression, images)
        for of_clip, choice, images in zip(clips, choices, uris, strict=True)
    ]
    matrices = [_matrices(of_clip) if kind == "eval" else {} for of_clip in clips]
    if means:
        clips.append(means)
        viewers.append({"frames": [], "bytes": 0, "note": "", "entries": []})
        matrices.append({m: mean_matrix(points, m) for m in metrics_of(means)})
    anchor = common_anchor(points, anchor)
    styles = series_styles(group_by_series(points))
    return [
        clip_data(
            of_clip,
            anchor=anchor,
            styles=styles,
            bd=bd,
            published=published.get(of_clip[0].clip, Literature()),
            viewer=viewer,
        )
        for of_clip, viewer, bd in zip(clips, viewers, matrices, strict=True)
    ]


def _matrices(points: Sequence[EvalPoint]) -> dict[str, BdMatrix]:
    """Return the BD-rates of one clip by metric."""
    curves = group_by_series(points)
    return {metric: bd_matrix(curves, metric) for metric in metrics_of(points)}


def _embedded_json(data: Mapping[str, Any]) -> str:
    """Return JSON that no HTML parser takes for the end of its script."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")

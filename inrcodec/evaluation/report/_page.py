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
from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._published import PublishedCurve
from inrcodec.evaluation.report._data import clip_data, metric_labels, provenance
from inrcodec.evaluation.report._viewer import is_lossless, viewer_data

_FRAMES_HEADINGS = {"eval": "Frames at equal bytes", "compare": "Frames side by side"}


def write_report(
    points: Sequence[EvalPoint],
    path: Path,
    *,
    out: Path,
    anchor: str,
    published: Mapping[str, Sequence[PublishedCurve]] | None = None,
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
        published: curves of the literature by clip.
        log: whether the rate axis starts out logarithmic.
        title: of the page.
        kind: `eval`, of curves, or `compare`, of one point a video: without BD-rates.

    Raises:
        EvaluationError: Plotly is missing.
    """
    lossless = is_lossless(points, out)
    clips = []
    for clip in dict.fromkeys(p.clip for p in points):
        of_clip = [p for p in points if p.clip == clip]
        viewer = viewer_data(of_clip, out, lossless=lossless)
        literature = (published or {}).get(clip, ())
        clips.append(
            clip_data(
                of_clip,
                anchor=anchor,
                published=literature,
                viewer=viewer,
                with_bd=kind == "eval",
            )
        )
    data = {
        "title": title,
        "kind": kind,
        "log": log,
        "metrics": metric_labels(),
        "provenance": provenance(points),
        "clips": clips,
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


def _embedded_json(data: Mapping[str, Any]) -> str:
    """Return JSON that no HTML parser takes for the end of its script."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")

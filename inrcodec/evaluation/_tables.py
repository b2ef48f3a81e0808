"""Records as tables: CSV, CompressAI's result JSON, and BD-rates against an anchor.

In: `EvalPoint`s. Out: text. A BD-rate that cannot be computed (too few points, curves that do not
overlap) is None, shown as a dash.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from inrcodec.evaluation._bd import bd_rate
from inrcodec.evaluation._points import EvalPoint, group_by_series, metric_db

METRIC_LABELS = {
    "psnr_rgb": "PSNR RGB (dB)",
    "psnr_yuv": "PSNR YUV 6:1:1 (dB)",
    "psnr_y": "PSNR Y (dB)",
    "ms_ssim": "MS-SSIM (dB)",
    "ssim": "SSIM (dB)",
    "vmaf": "VMAF",
    "xpsnr": "XPSNR (dB)",
    "lpips": "LPIPS",
}
"""On the scale that is plotted, see `metric_db`; in the order of panels and columns."""

LOWER_IS_BETTER = frozenset({"lpips"})
_FIELDS = (
    *("clip", "width", "height", "frames", "fps", "codec", "kind", "preset", "model", "recipe"),
    *("quality", "bytes", "bpp", "encode_seconds", "decode_seconds"),
    *("parameters", "kmac_per_pixel", "device", "seed", "commit"),
)
_COMPRESSAI_NAMES = {"psnr_rgb": "psnr-rgb", "ms_ssim": "ms-ssim-rgb", "psnr_yuv": "psnr-yuv"}

Curves = Mapping[str, Sequence[EvalPoint]]
BdRow = dict[str, float | None]


def metrics_of(points: Iterable[EvalPoint]) -> list[str]:
    """Return the metrics that any point has, in the order of display."""
    found = {name for point in points for name in point.metrics}
    return [name for name in METRIC_LABELS if name in found]


def csv_text(points: Sequence[EvalPoint]) -> str:
    """Return one row a point: all fields, then the mean of each metric."""
    metrics = metrics_of(points)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_FIELDS, *metrics])
    for point in points:
        values = [getattr(point, name) for name in _FIELDS]
        writer.writerow(values + [point.metrics.get(name) for name in metrics])
    return buffer.getvalue()


def compressai_json(series: str, points: Sequence[EvalPoint]) -> str:
    """Return a curve as `compressai.utils.plot` reads it; MS-SSIM on its own scale, not in dB."""
    common = [name for name in metrics_of(points) if all(name in p.metrics for p in points)]
    first = points[0]
    results: dict[str, list[float | None]] = {
        "bpp": [p.bpp for p in points],
        **{_COMPRESSAI_NAMES.get(m, m): [p.metrics[m] for p in points] for m in common},
        "encoding_time": [p.encode_seconds for p in points],
        "decoding_time": [p.decode_seconds for p in points],
    }
    record = {
        "name": series,
        "description": f"{first.label}; {first.device}; commit {first.commit}; bpp of the file",
        "results": results,
    }
    return json.dumps(record, indent=2) + "\n"


def find_anchor(curves: Curves, wished: str) -> str | None:
    """Return the curve of the codec or series `wished`, if there is one."""
    return next((s for s in curves if wished in (s, curves[s][0].codec)), None)


def bd_rates(curves: Curves, anchor: str, metric: str) -> BdRow:
    """Return the BD-rate in percent of every curve against the curve `anchor`."""
    reference = _curve(curves[anchor], metric)
    return {
        series: 0.0 if series == anchor else _bd_rate(reference, _curve(points, metric))
        for series, points in curves.items()
    }


def bd_matrix(curves: Curves, metric: str) -> dict[str, BdRow]:
    """Return the BD-rate of each curve (outer name) against each (inner name)."""
    columns = {anchor: bd_rates(curves, anchor, metric) for anchor in curves}
    return {series: {anchor: columns[anchor][series] for anchor in curves} for series in curves}


def bd_markdown(points: Sequence[EvalPoint], *, anchor: str) -> str:
    """Return the BD-rates of all clips as markdown, one table a clip, and their mean."""
    parts, by_clip = [], {}
    for clip in dict.fromkeys(p.clip for p in points):
        curves = group_by_series(p for p in points if p.clip == clip)
        found = find_anchor(curves, anchor)
        parts.append(f"## {next(iter(curves.values()))[0].label}\n")
        if found is None:
            parts.append(f"No curve of {anchor} here, so no BD-rates.\n")
            continue
        metrics = metrics_of(p for p in points if p.clip == clip)
        by_clip[clip] = {metric: bd_rates(curves, found, metric) for metric in metrics}
        parts.append(_markdown_table(by_clip[clip], found))
    if len(by_clip) > 1:
        parts.append(f"## Mean over {len(by_clip)} clips\n")
        parts.append(_markdown_table(_mean(list(by_clip.values())), anchor))
    return "\n".join(parts)


def percent(value: float | None) -> str:
    """Return a BD-rate for people.

    >>> percent(-12.345), percent(None)
    ('-12.3 %', '–')
    """
    return "–" if value is None else f"{value:+.1f} %"


def _markdown_table(by_metric: Mapping[str, BdRow], anchor: str) -> str:
    labels = [METRIC_LABELS[metric].removesuffix(" (dB)") for metric in by_metric]
    lines = [f"| BD-rate against {anchor} | {' | '.join(labels)} |"]
    lines.append("|---" * (len(labels) + 1) + "|")
    for series in next(iter(by_metric.values()), {}):
        cells = [percent(row.get(series)) for row in by_metric.values()]
        lines.append(f"| {series} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(clips: Sequence[Mapping[str, BdRow]]) -> dict[str, BdRow]:
    """Return the means over clips of what every clip has."""
    means: dict[str, BdRow] = {}
    for metric in clips[0]:
        rows = [clip.get(metric, {}) for clip in clips]
        means[metric] = {}
        for series in rows[0]:
            values = [v for row in rows if (v := row.get(series)) is not None]
            means[metric][series] = sum(values) / len(values) if len(values) == len(rows) else None
    return means


def _curve(points: Sequence[EvalPoint], metric: str) -> list[tuple[float, float]]:
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return [
        (p.bpp, sign * metric_db(metric, p.metrics[metric])) for p in points if metric in p.metrics
    ]


def _bd_rate(anchor: list[tuple[float, float]], test: list[tuple[float, float]]) -> float | None:
    try:
        value = bd_rate(anchor, test)
    except (ValueError, ZeroDivisionError):
        return None
    return value if abs(value) < 1e6 else None  # not a number neither

"""Records as tables that other programs read: CSV and CompressAI's result JSON; metrics' names.

In: `EvalPoint`s. Out: text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from inrcodec.evaluation._points import EvalPoint

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
_DIGITS = {"lpips": 4}  # of others 2
_FIELDS = (
    *("clip", "width", "height", "frames", "fps", "codec", "kind", "preset", "model", "recipe"),
    *("crop", "resize", "epochs", "time_seconds"),
    *("quality", "bytes", "bpp", "encode_seconds", "decode_seconds"),
    *("parameters", "kmac_per_pixel", "device", "seed", "commit"),
)
_COMPRESSAI_NAMES = {"psnr_rgb": "psnr-rgb", "ms_ssim": "ms-ssim-rgb", "psnr_yuv": "psnr-yuv"}
_SETTINGS = ("crop", "resize", "epochs", "time_seconds")  # fields that a record has there


def metrics_of(points: Iterable[EvalPoint]) -> list[str]:
    """Return the metrics that any point has, in the order of display."""
    found = {name for point in points for name in point.metrics}
    return [name for name in METRIC_LABELS if name in found]


def metric_name(metric: str) -> str:
    """Return a metric's label without its unit.

    >>> metric_name("psnr_rgb")
    'PSNR RGB'
    """
    return METRIC_LABELS[metric].removesuffix(" (dB)")


def axis_label(metric: str) -> str:
    """Return a metric's label as an axis says it.

    >>> axis_label("lpips")
    'LPIPS (lower is better)'
    """
    return METRIC_LABELS[metric] + (" (lower is better)" if metric in LOWER_IS_BETTER else "")


def metric_digits(metric: str) -> int:
    """Return how many decimals of a metric say something."""
    return _DIGITS.get(metric, 2)


def size_text(size: Sequence[int] | None) -> str:
    """Return a crop or resize as the command line takes it; empty for none.

    >>> size_text([640, 360]), size_text(None)
    ('640x360', '')
    """
    return "x".join(map(str, size)) if size else ""


def csv_text(points: Sequence[EvalPoint]) -> str:
    """Return one row a point: all fields, then the mean of each metric."""
    metrics = metrics_of(points)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_FIELDS, *metrics])
    for point in points:
        values = [_field(point, name) for name in _FIELDS]
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


def _field(point: EvalPoint, name: str) -> Any:
    """Return a field of the CSV; geometry and budget are among a record's settings."""
    if name not in _SETTINGS:
        return getattr(point, name)
    value = point.settings.get(name)
    return size_text(value) if name in ("crop", "resize") else value

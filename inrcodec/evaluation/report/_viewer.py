"""The frames of the viewer: for each codec the point nearest to one number of bytes.

In: records with their snapshots. Out: data URIs; lossless as long as all of them are within a
budget, else compressed once more, which the report then says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inrcodec.evaluation._points import EvalPoint, clip_folder, group_by_series
from inrcodec.evaluation._snapshots import data_uri

MAX_LOSSLESS_BYTES = 24_000_000  # of all pictures of a report


def common_rate(curves: Mapping[str, Sequence[EvalPoint]]) -> float:
    """Return the bpp of one of our points to which all curves have the nearest neighbours.

    Of several equally good, the highest.
    """
    ours = [p.bpp for curve in curves.values() for p in curve if p.kind == "inr"]
    candidates = ours or [p.bpp for curve in curves.values() for p in curve]

    def distance(bpp: float) -> float:
        return sum(
            min(abs(math.log(p.bpp / bpp)) for p in curve) for curve in curves.values() if curve
        )

    return min(sorted(candidates, reverse=True), key=distance)


def nearest_points(points: Sequence[EvalPoint]) -> dict[str, EvalPoint]:
    """Return for each curve the point that the viewer shows."""
    curves = group_by_series(points)
    bpp = common_rate(curves)
    return {
        series: min(curve, key=lambda p: abs(math.log(p.bpp / bpp)))
        for series, curve in curves.items()
    }


def is_lossless(points: Sequence[EvalPoint], out: Path) -> bool:
    """Whether the pictures of a report may be embedded as they were kept."""
    clips = dict.fromkeys(p.clip for p in points)
    shown = [
        path
        for clip in clips
        for point in nearest_points([p for p in points if p.clip == clip]).values()
        for path in point.snapshots.values()
    ]
    files = [out / path for path in shown]
    return sum(f.stat().st_size for f in files if f.exists()) <= MAX_LOSSLESS_BYTES


def viewer_data(points: Sequence[EvalPoint], out: Path, *, lossless: bool) -> dict[str, Any]:
    """Return frames and pictures of one clip's viewer; no pictures, no viewer."""
    folder = out / "frames" / clip_folder(points[0].clip)
    source = {str(int(p.stem.split("-")[-1])): p for p in sorted(folder.glob("source-*.webp"))}
    shown = nearest_points(points)
    frames = [index for index in source if all(index in p.snapshots for p in shown.values())]
    sources = _images([source[index] for index in frames], lossless=lossless)
    entries = [{"name": "source", "images": sources}]
    for series, point in shown.items():
        files = [out / point.snapshots[index] for index in frames]
        if files and all(file.exists() for file in files):
            entries.append(_entry(series, point, _images(files, lossless=lossless)))
    bpp = common_rate(group_by_series(points))
    return {
        "frames": [int(index) for index in frames],
        "bytes": round(bpp * points[0].frames * points[0].width * points[0].height / 8),
        "lossless": lossless,
        "entries": entries if len(entries) > 1 else [],
    }


def _entry(series: str, point: EvalPoint, images: list[str]) -> dict[str, Any]:
    return {
        "name": series,
        "kind": point.kind,
        "quality": point.quality,
        "bytes": point.bytes,
        "bpp": point.bpp,
        "psnr": point.per_frame.get("psnr_rgb", []),
        "images": images,
    }


def _images(files: Sequence[Path], *, lossless: bool) -> list[str]:
    return [data_uri(file, lossless=lossless) for file in files]

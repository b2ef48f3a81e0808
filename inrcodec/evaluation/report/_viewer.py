"""The frames of the viewer: for each codec the point nearest to one number of bytes.

In: records with their snapshots. Out: which files the viewer of a clip shows, and its data once
they are embedded. A curve whose pictures are not there is left out, and the viewer says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inrcodec.evaluation._points import EvalPoint, clip_folder, group_by_series
from inrcodec.evaluation.report._pictures import Compression, Uris, spread

SOURCE = "source"


@dataclass(frozen=True)
class Choice:
    """What the viewer of one clip may show; no files, no viewer."""

    frames: tuple[int, ...]  # indices in the clip
    files: Mapping[str, Sequence[Path]]  # of the source, then of each curve: a picture a frame
    left_out: tuple[str, ...]  # curves without pictures of these frames


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


def choose(points: Sequence[EvalPoint], out: Path) -> Choice:
    """Return what the viewer of one clip shows: the frames that most curves and the source have."""
    folder = out / "frames" / clip_folder(points[0].clip)
    source = {int(p.stem.split("-")[-1]): p for p in sorted(folder.glob("source-*.webp"))}
    pictures = {
        series: {int(i): out / p for i, p in point.snapshots.items() if (out / p).exists()}
        for series, point in nearest_points(points).items()
    }
    frames = set(source)
    shown = set()
    for series in sorted(pictures, key=lambda s: -len(source.keys() & pictures[s].keys())):
        if common := frames & pictures[series].keys():
            frames = common
            shown.add(series)
    ordered = sorted(frames) if shown else []
    kept = {series: files for series, files in pictures.items() if series in shown}
    by_name = {SOURCE: source, **kept} if shown else {}
    return Choice(
        tuple(ordered),
        {name: [of[index] for index in ordered] for name, of in by_name.items()},
        tuple(series for series in pictures if series not in shown),
    )


def viewer_data(
    points: Sequence[EvalPoint], choice: Choice, compression: Compression | None, uris: Uris
) -> dict[str, Any]:
    """Return the viewer of one clip with its embedded pictures."""
    bpp = common_rate(group_by_series(points))
    shown = nearest_points(points)
    count = compression.frames if compression else 0
    frames = [choice.frames[i] for i in spread(len(choice.frames), count)] if count else []
    entries = [
        {"name": name, "images": images, **(_facts(shown[name], frames) if name in shown else {})}
        for name, images in uris.items()
    ]
    notes = [compression.note] if compression else []
    if choice.left_out:
        notes.append(f"Without pictures of these frames: {', '.join(choice.left_out)}.")
    return {
        "frames": frames,
        "bytes": round(bpp * points[0].frames * points[0].width * points[0].height / 8),
        "note": " ".join(notes),
        "entries": entries,
    }


def _facts(point: EvalPoint, frames: Sequence[int]) -> dict[str, Any]:
    psnr = point.per_frame.get("psnr_rgb", [])
    return {
        "kind": point.kind,
        "bytes": point.bytes,
        "bpp": point.bpp,
        "psnr": [psnr[frame] if frame < len(psnr) else None for frame in frames],
    }

"""What an evaluation leaves beside its records: tables, plots and the report.

In: a folder of records. Out, in the same folder:

    points.csv                      one row a point
    compressai/<clip>/<curve>.json  for CompressAI's plot tool
    bd_rate.md                      BD-rates against the anchor
    plots/<clip>.png, .svg
    report.html                     one file, no network
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from inrcodec.bitstream import write_atomically
from inrcodec.evaluation._plots import draw_rd
from inrcodec.evaluation._points import EvalPoint, clip_folder, group_by_series
from inrcodec.evaluation._published import load_published, published_curves
from inrcodec.evaluation._tables import bd_markdown, compressai_json, csv_text
from inrcodec.evaluation.report import write_report


def write_outputs(
    points: Sequence[EvalPoint],
    out: Path,
    *,
    anchor: str,
    log_bpp: bool = False,
    published: bool = False,
) -> list[Path]:
    """Write tables, plots and the report of the points; returns the paths for people.

    Raises:
        EvaluationError: matplotlib or Plotly is missing.
    """
    write_atomically(out / "points.csv", csv_text(points).encode())
    write_atomically(out / "bd_rate.md", bd_markdown(points, anchor=anchor).encode())
    literature = load_published() if published else []
    paths = [out / "points.csv", out / "bd_rate.md"]
    (out / "plots").mkdir(exist_ok=True)
    drawn = {}
    for clip in dict.fromkeys(p.clip for p in points):
        of_clip = [p for p in points if p.clip == clip]
        _write_compressai(of_clip, out / "compressai" / clip_folder(clip))
        drawn[clip] = published_curves(literature, clip=clip)
        paths += draw_rd(
            of_clip,
            out / "plots" / clip_folder(clip),
            anchor=anchor,
            log_bpp=log_bpp,
            published=drawn[clip],
        )
    report = out / "report.html"
    write_report(points, report, out=out, anchor=anchor, published=drawn, log=log_bpp)
    return [*paths, report]


def default_anchor(points: Sequence[EvalPoint]) -> str:
    """Return the codec that BD-rates are against when none is named: x265 where there is one."""
    codecs = [p.codec for p in points if p.kind == "reference"] or [p.codec for p in points]
    return "x265" if "x265" in codecs else next(iter(codecs), "x265")


def _write_compressai(points: Sequence[EvalPoint], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for series, curve in group_by_series(points).items():
        name = re.sub(r"[^\w.+-]+", "_", series)
        write_atomically(folder / f"{name}.json", compressai_json(series, curve).encode())

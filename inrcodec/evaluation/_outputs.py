"""What an evaluation leaves beside its records: tables, plots and the report.

In: a folder of records. Out, in the same folder:

    points.csv                      one row a point
    compressai/<clip>/<curve>.json  for CompressAI's plot tool
    bd_rate.md                      BD-rates against the anchor
    plots/<clip>.png, .svg          and plots/mean.png, .svg of several clips
    report.html                     one file, no network
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inrcodec.bitstream import write_atomically
from inrcodec.evaluation._bd_tables import bd_markdown, common_anchor, mean_matrix
from inrcodec.evaluation._consistency import check_points
from inrcodec.evaluation._literature import Literature, literature
from inrcodec.evaluation._mean import mean_points
from inrcodec.evaluation._plots import draw_rd
from inrcodec.evaluation._points import EvalPoint, clip_folder, group_by_series
from inrcodec.evaluation._published import load_published
from inrcodec.evaluation._style import series_styles
from inrcodec.evaluation._tables import compressai_json, csv_text, metrics_of
from inrcodec.evaluation.report import write_report


@dataclass(frozen=True)
class Outputs:
    """What was written, and what was not drawn."""

    paths: tuple[Path, ...]  # for people
    notes: tuple[str, ...] = ()  # one sentence for each published curve that is not drawn


def write_outputs(
    points: Sequence[EvalPoint],
    out: Path,
    *,
    anchor: str,
    log_bpp: bool = False,
    published: bool = False,
) -> Outputs:
    """Write tables, plots and the report of the points.

    Raises:
        EvaluationError: matplotlib or Plotly is missing, or the points may not be drawn together.
    """
    check_points(points)
    anchor = common_anchor(points, anchor)
    drawn = literature(load_published(), points) if published else {}
    paths = [out / "points.csv", out / "bd_rate.md"]
    write_atomically(paths[0], csv_text(points).encode())
    write_atomically(paths[1], bd_markdown(points, anchor=anchor).encode())
    for clip in dict.fromkeys(p.clip for p in points):
        _write_compressai(
            [p for p in points if p.clip == clip], out / "compressai" / clip_folder(clip)
        )
    paths += _write_plots(points, out / "plots", anchor=anchor, log_bpp=log_bpp, drawn=drawn)
    report = out / "report.html"
    write_report(points, report, out=out, anchor=anchor, published=drawn, log=log_bpp)
    return Outputs((*paths, report), _not_drawn(drawn) if published else ())


def default_anchor(points: Sequence[EvalPoint]) -> str:
    """Return the codec that BD-rates are against when none is named: x265 where there is one."""
    codecs = [p.codec for p in points if p.kind == "reference"] or [p.codec for p in points]
    return "x265" if "x265" in codecs else next(iter(codecs), "x265")


def _write_plots(
    points: Sequence[EvalPoint],
    folder: Path,
    *,
    anchor: str,
    log_bpp: bool,
    drawn: Mapping[str, Literature],
) -> list[Path]:
    """Draw every clip, and the mean where there is one; a curve looks the same in all plots."""
    folder.mkdir(exist_ok=True)
    styles = series_styles(group_by_series(points))
    clips = dict.fromkeys(p.clip for p in points)
    figures = [[p for p in points if p.clip == clip] for clip in clips]
    means = mean_points(points)
    paths = []
    for shown in [*figures, *([means] if means else [])]:
        clip = shown[0].clip
        paths += draw_rd(
            shown,
            folder / clip_folder(clip),
            anchor=anchor,
            log_bpp=log_bpp,
            published=drawn.get(clip, Literature()).curves,
            bd={m: mean_matrix(points, m) for m in metrics_of(means)} if shown is means else None,
            styles=styles,
        )
    return paths


def _not_drawn(drawn: Mapping[str, Literature]) -> tuple[str, ...]:
    """Return why published curves are not drawn, or that there are none."""
    reasons = tuple(dict.fromkeys(r for of in drawn.values() for r in of.reasons))
    if reasons or any(of.curves for of in drawn.values()):
        return reasons
    return ("there are no published curves of these clips",)


def _write_compressai(points: Sequence[EvalPoint], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = set()
    for series, curve in group_by_series(points).items():
        name = re.sub(r"[^\w.+-]+", "_", series)
        path = folder / f"{name}.json"
        write_atomically(path, compressai_json(series, curve).encode())
        written.add(path)
    for path in set(folder.glob("*.json")) - written:  # of curves whose records are gone
        path.unlink()

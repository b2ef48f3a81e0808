"""Table and plot of `rate.py`'s records, put into docs/rate.md.

A scheme's curve has the mean over seeds of bytes and PSNR at each rate; BD-rates are Bjontegaard's
(inrcodec.evaluation) over what two curves share.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from equal_time_records import Record, complaint
from equal_time_report import NOTHING, between_marks, row

from inrcodec.evaluation._bd import bd_rate, shared_quality
from inrcodec.evaluation._bd_tables import MIN_SHARED
from inrcodec.evaluation._plots import _DASHES, _MARKERS, _RC
from inrcodec.evaluation._style import Style, our_styles

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "rate.md"
DRAWN, CODECS, PLOT = "schemes", "codecs", "rate_bunny.png"
BESIDE_CODECS = (DRAWN, "long", "visits")  # curves of ours
SAME = "same"  # the mark of what is compared with the networks of the schemes' records
_INCHES = (7.2, 4.2)

Curves = dict[str, list[tuple[float, float]]]
"""(bpp, dB) of each scheme, by its rates."""


def write_report(
    records: Mapping[str, Sequence[Record]],
    page: Path,
    *,
    ours: str,
    named: Mapping[str, Collection[str]],
    codecs: Mapping[str, Any] | None = None,
) -> None:
    """Put the tables between the marks of the page, and draw the plot beside it.

    Args:
        records: by mark, current ones; those of the mark `schemes` are drawn.
        page: docs/rate.md.
        ours: the scheme that the others are compared with.
        named: by mark, the schemes of the table, in their order.
        codecs: the other codecs' result (`rd_1280_codecs.py --half`).
    """
    text = page.read_text()
    for mark, rows in tables(records, ours=ours, named=named, codecs=codecs).items():
        text = between_marks(text, mark, rows)
    page.write_text(text)
    if drawn := curves(records.get(DRAWN, ())):
        draw(drawn, page.parent / "images" / PLOT, styles=our_styles(named[DRAWN]))


def tables(
    records: Mapping[str, Sequence[Record]],
    *,
    ours: str,
    named: Mapping[str, Collection[str]],
    codecs: Mapping[str, Any] | None = None,
) -> dict[str, list[str]]:
    """Return Markdown by mark."""
    found = {
        mark: table(records.get(mark, ()), list(names), ours=ours)
        for mark, names in named.items()
        if len(names) > 1
    }
    if SAME in named:
        of_ours = [r for r in records.get(DRAWN, ()) if r["scheme"] == ours]
        found[SAME] = same_table(of_ours, records.get(SAME, ()), ours=ours)
    if codecs is not None:
        found[CODECS] = codec_table(records, codecs, ours=ours)
    if found[DRAWN] != NOTHING:
        found[DRAWN] = [*found[DRAWN], "", f"![PSNR over bits per pixel](images/{PLOT})"]
    return found


def codec_table(
    records: Mapping[str, Sequence[Record]], codecs: Mapping[str, Any], *, ours: str
) -> list[str]:
    """Return a row a codec: its rate at 34 and 36 dB, and what ours takes to it after each time."""
    own = {
        _length(found[0]): curves(found)[ours]
        for mark in BESIDE_CODECS
        if (found := [r for r in records.get(mark, ()) if r["scheme"] == ours])
    }
    others: Curves = {}
    for point in codecs["points"]:
        name = f"{point['codec']} {point['setting']}"
        others.setdefault(name, []).append((point["bpp"], point["metrics"]["psnr_rgb"]))
    goals = (34.0, 36.0)
    at = [f"bpp at {goal:g} dB" for goal in goals]
    heading = ["codec", *at, *(f"ours to its, {name}" for name in own)]
    rows = [row(heading), row(["---"] * len(heading))]
    for name, points in {
        **{f"{ours}, {name}": curve for name, curve in own.items()},
        **others,
    }.items():
        cells = [name, *(_bpp_at(points, goal) for goal in goals)]
        if name in others:
            cells += [bd_rate_of(sorted(points), curve) for curve in own.values()]
        else:
            cells += [""] * len(own)
        rows.append(row(cells))
    first = codecs["points"][0]
    said = f"{len(codecs['points'])} points of other codecs; {first['processor']}, "
    return [*rows, "", f"{said}FFmpeg {first['versions']['ffmpeg']}; commit {first['commit']}."]


def _length(record: Record) -> str:
    """How long a fit was."""
    seconds = record["budget_seconds"]
    return f"{record['epochs']} visits" if seconds is None else f"{seconds / 60:g} min"


def _bpp_at(points: Sequence[tuple[float, float]], goal_db: float) -> str:
    """Return the rate that reaches a PSNR, between two points in the rate's logarithm."""
    found = sorted((db, math.log(bpp)) for bpp, db in points)
    for (low, log_low), (high, log_high) in pairwise(found):
        if low <= goal_db <= high:
            share = (goal_db - low) / (high - low)
            return f"{math.exp(log_low + share * (log_high - log_low)):.4f}"
    return ""


def curves(records: Sequence[Record]) -> Curves:
    """Return each scheme's points, means over seeds."""
    found: dict[str, dict[str, list[Record]]] = {}
    for r in records:
        found.setdefault(r["scheme"], {}).setdefault(r["variant"], []).append(r)
    return {
        scheme: sorted(
            (fmean(r["bpp"] for r in seeds), fmean(r["psnr_db"] for r in seeds))
            for seeds in by_rate.values()
        )
        for scheme, by_rate in found.items()
    }


def table(records: Sequence[Record], names: Sequence[str], *, ours: str) -> list[str]:
    """Return a row a scheme: its PSNR at each rate, and what the others' bytes are to it."""
    records = [r for r in records if r["scheme"] in names]
    found = curves(records)
    if ours not in found or len(found) < 2:
        return NOTHING
    variants = sorted({_rate_of(r) for r in records})
    heading = ["scheme", *(f"{bpp:g} bpp" for bpp in variants), "its bytes to ours", "ours to its"]
    rows = [row(heading), row(["---"] * len(heading))]
    for name in names:
        if name not in found:
            continue
        cells = [name]
        for bpp in variants:
            at = [r for r in records if r["variant"] == f"{name}/{bpp:g}"]
            cells.append(_psnr(at))
        if name == ours:
            cells += ["", ""]
        else:
            cells.append(bd_rate_of(found[ours], found[name]))
            cells.append(bd_rate_of(found[name], found[ours]))
        rows.append(row(cells))
    return [*rows, "", _provenance(records)]


def same_table(of_ours: Sequence[Record], of_other: Sequence[Record], *, ours: str) -> list[str]:
    """Return a row a network: coded by us, and by the one scheme of the others' records.

    Both are of the same seeds, rate by rate.
    """

    def points(records: Sequence[Record]) -> set[tuple[float, int]]:
        return {(_rate_of(r), r["seed"]) for r in records}

    shared = points(of_ours) & points(of_other)
    if not shared:
        return NOTHING
    both = {rate for rate, _ in shared}
    own, other = (
        [r for r in rs if (_rate_of(r), r["seed"]) in shared] for rs in (of_ours, of_other)
    )
    (scheme,) = {r["scheme"] for r in other}
    heading = ["values", ours, "values", scheme, "bytes", "PSNR"]
    rows = [row(heading), row(["---"] * len(heading))]
    for rate in sorted(both):
        pair = [[r for r in rs if _rate_of(r) == rate] for rs in (own, other)]
        num_bytes = [fmean(r["bytes"] for r in rs) for rs in pair]
        psnr_db = [fmean(r["psnr_db"] for r in rs) for rs in pair]
        cells = []
        for rs, size in zip(pair, num_bytes, strict=True):
            cells += [f"{rs[0]['parameters']:,}", f"{size:,.0f} bytes, {_psnr(rs)} dB"]
        fewer = 100 * (num_bytes[0] / num_bytes[1] - 1)
        rows.append(row([*cells, f"{fewer:+.1f} %", f"{psnr_db[0] - psnr_db[1]:+.2f} dB"]))
    between = bd_rate_of(curves(other)[scheme], curves(own)[ours])
    return [*rows, "", f"At equal PSNR (BD-rate): {between}. {_provenance([*own, *other])}"]


def _provenance(records: Sequence[Record]) -> str:
    """Say how many points a table is of, how quiet it was, where and by what they were made."""
    disturbed = sum(bool(complaint(r)) for r in records)
    commits = sorted({str(r["commit"]) for r in records})
    devices = sorted({f"{r['processor']}, {r['device']}" for r in records})
    return (
        f"{len(records)} points, {disturbed} disturbed; {', '.join(devices)}; "
        f"commit {', '.join(commits)}."
    )


def _rate_of(record: Record) -> float:
    return float(record["variant"].rsplit("/", 1)[1])


def draw(found: Curves, path: Path, *, styles: Mapping[str, Style]) -> None:
    """Draw a PNG of the curves that have styles; the same records give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=_INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for name, style in styles.items():
            if name in found:
                axes.plot(
                    *zip(*found[name], strict=True),
                    color=style.color,
                    linewidth=0.65 * style.width,
                    linestyle=_DASHES[style.dash],
                    marker=_MARKERS[style.marker.removesuffix("-open")],
                    markersize=5,
                    label=name,
                )
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel("PSNR (dB)")
        axes.legend(frameon=False, loc="lower right")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})


def bd_rate_of(anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]) -> str:
    """Return the bytes of `test` to those of `anchor` at equal PSNR, where they share enough."""
    try:
        if shared_quality(anchor, test) < MIN_SHARED:
            return "unknown"
        return f"{bd_rate(anchor, test):+.1f} %"
    except ValueError:  # too few points, or a curve that falls
        return "unknown"


def _psnr(records: Sequence[Record]) -> str:
    if not records:
        return ""
    values = [r["psnr_db"] for r in records]
    spread = f" ({max(values) - min(values):.2f} of {len(values)})" if len(values) > 1 else ""
    return f"{fmean(values):.2f}{spread}"

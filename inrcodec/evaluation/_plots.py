"""RD plots for print: one figure a clip, a panel a metric, the BD-rates as a table under them.

In: `EvalPoint`s of one clip. Out: the same figure as PNG and as SVG; the same points give the same
bytes. Ours are solid with filled markers, reference codecs muted, published curves dashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._points import EvalPoint, group_by_series, metric_db
from inrcodec.evaluation._style import Style, series_styles
from inrcodec.evaluation._tables import (
    METRIC_LABELS,
    bd_rates,
    find_anchor,
    metrics_of,
    percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from inrcodec.evaluation._published import PublishedCurve

PREFERRED_PANELS = ("psnr_rgb", "ms_ssim", "vmaf")
_PANELS = 3
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "pentagon": "p",
    "star": "*",
    "x": "x",
    "cross": "+",
    "triangle-down": "v",
    "hexagon": "h",
    "asterisk": "1",
}
_PUBLISHED_COLORS = ("#b2182b", "#7b3294", "#8c510a", "#01665e", "#4d4d4d", "#c51b7d", "#5aae61")
_ROW_INCHES, _PANEL_INCHES = 0.2, (3.5, 3.0)
_RC: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.hashsalt": "inrcodec",
    "savefig.dpi": 200,
}


def draw_rd(
    points: Sequence[EvalPoint],
    stem: Path,
    *,
    anchor: str,
    log_bpp: bool = False,
    published: Sequence[PublishedCurve] = (),
) -> list[Path]:
    """Draw the curves of one clip into `stem`.png and `stem`.svg; returns their paths.

    Raises:
        EvaluationError: matplotlib is missing.
    """
    require_extra("eval", "a plot")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        _compose(figure, points, anchor=anchor, log_bpp=log_bpp, published=published)
        paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None})
    return paths


def panel_metrics(points: Sequence[EvalPoint]) -> list[str]:
    """Return the metrics that get a panel: three at most."""
    found = metrics_of(points)
    ordered = [m for m in PREFERRED_PANELS if m in found]
    ordered += [m for m in found if m not in ordered]
    return ordered[:_PANELS]


def _compose(
    figure: Figure,
    points: Sequence[EvalPoint],
    *,
    anchor: str,
    log_bpp: bool,
    published: Sequence[PublishedCurve],
) -> None:
    curves = group_by_series(points)
    styles = series_styles(curves)
    metrics = panel_metrics(points)
    rows = _bd_rows(points, anchor)
    legend_rows = -(-(len(curves) + len(published)) // 4)
    table_inches = _ROW_INCHES * (len(rows) + 0.5)
    height = _PANEL_INCHES[1] + table_inches + 0.18 * legend_rows + 0.5
    figure.set_size_inches(_PANEL_INCHES[0] * max(len(metrics), 1.6) + 0.2, height)
    grid = figure.add_gridspec(
        2, len(metrics), height_ratios=(_PANEL_INCHES[1], max(table_inches, 0.01))
    )
    handles: dict[str, Any] = {}
    for column, metric in enumerate(metrics):
        axes = figure.add_subplot(grid[0, column])
        for series, curve in curves.items():
            handles |= _draw_curve(axes, series, curve, metric, styles[series])
        shown = [curve for curve in published if curve.metric == metric]
        for index, literature in enumerate(shown):
            handles |= _draw_published(axes, literature, index)
        _finish_panel(axes, metric, log_bpp=log_bpp)
    if rows:
        _draw_table(figure.add_subplot(grid[1, :]), rows)
    figure.suptitle(points[0].label, fontsize=10)
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False
    )


def _draw_curve(
    axes: Axes, series: str, points: Sequence[EvalPoint], metric: str, style: Style
) -> dict[str, Any]:
    shown = [p for p in points if metric in p.metrics]
    (line,) = axes.plot(
        [p.bpp for p in shown],
        [metric_db(metric, p.metrics[metric]) for p in shown],
        color=style.color,
        linewidth=style.width * 0.75,
        marker=_MARKERS[style.marker],
        markersize=5,
        label=series,
        zorder=3 if points[0].kind == "inr" else 2,
    )
    return {series: line}


def _draw_published(axes: Axes, curve: PublishedCurve, index: int) -> dict[str, Any]:
    (line,) = axes.plot(
        [bpp for bpp, _ in curve.points],
        [metric_db(curve.metric, value) for _, value in curve.points],
        color=_PUBLISHED_COLORS[index % len(_PUBLISHED_COLORS)],
        linestyle=(0, (4, 2)),
        linewidth=1.1,
        marker="o",
        markersize=4,
        markerfacecolor="white",
        zorder=1,
    )
    return {curve.label: line}


def _finish_panel(axes: Axes, metric: str, *, log_bpp: bool) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(METRIC_LABELS[metric])
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    if log_bpp:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)


def _bd_rows(points: Sequence[EvalPoint], anchor: str) -> list[list[str]]:
    """Return the table's cells: a heading, then a row a curve; none without the anchor."""
    curves = group_by_series(points)
    found = find_anchor(curves, anchor)
    if found is None or len(curves) < 2:
        return []
    metrics = metrics_of(points)
    rates = {metric: bd_rates(curves, found, metric) for metric in metrics}
    heading = [f"BD-rate vs {found}", *(METRIC_LABELS[m].removesuffix(" (dB)") for m in metrics)]
    rows = [[s, *(percent(rates[m][s]) for m in metrics)] for s in curves if s != found]
    return [heading, *rows]


def _draw_table(axes: Axes, rows: Sequence[Sequence[str]]) -> None:
    """Draw rows of text between three rules, as books set tables."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(rows) + 0.1, -0.1)
    columns = len(rows[0])
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            place = 0.01 if x == 0 else 0.24 + 0.75 * x / (columns - 1)
            axes.text(
                place,
                y + 0.5,
                cell.replace("-", "−") if x and y else cell,
                ha="left" if x == 0 else "right",
                va="center",
                fontsize=8,
                fontweight="bold" if y == 0 else "normal",
            )
    for y, width in ((0, 0.9), (1, 0.5), (len(rows), 0.9)):
        axes.axhline(y, color="#333333", linewidth=width)

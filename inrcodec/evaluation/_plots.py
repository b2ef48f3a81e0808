"""RD plots for print: one figure a clip, up to three panels, BD-rates and notes under them.

In: `EvalPoint`s of one clip, or of the mean over clips. Out: the same figure as PNG and as SVG; the
same points give the same bytes. `_style.py` says how curves look, `_plot_text.py` what stands under
the panels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrcodec.evaluation._extras import require_extra
from inrcodec.evaluation._plot_text import bd_rows, draw_notes, draw_table, notes, wrap
from inrcodec.evaluation._points import EvalPoint, group_by_series, metric_db
from inrcodec.evaluation._style import Style, published_styles, series_styles
from inrcodec.evaluation._tables import axis_label, metrics_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from inrcodec.evaluation._bd_tables import BdMatrix
    from inrcodec.evaluation._published import PublishedCurve

PREFERRED_PANELS = ("psnr_rgb", "ms_ssim", "vmaf")
_PANELS = 3
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "star": "*",
    "x": "x",
    "cross": "+",
    "triangle-down": "v",
    "hexagon": "h",
    "asterisk": "1",
}
_DASHES: Any = {
    "solid": "-",
    "dash": (0, (4, 2)),
    "dot": (0, (1, 1.6)),
    "dashdot": (0, (5, 2, 1, 2)),
    "longdash": (0, (9, 2.5)),
    "longdashdot": (0, (9, 2, 1, 2)),
}
_ROW_INCHES, _NOTE_INCHES, _PANEL_INCHES = 0.2, 0.125, (3.5, 3.0)
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
    bd: Mapping[str, BdMatrix] | None = None,
    styles: Mapping[str, Style] | None = None,
) -> list[Path]:
    """Draw the curves of one clip into `stem`.png and `stem`.svg; returns their paths.

    Args:
        points: of one clip, or of the mean over clips.
        stem: path of the files without their ending.
        anchor: codec or curve that the BD-rates are against.
        log_bpp: whether the rate axis is logarithmic.
        published: curves of the literature.
        bd: BD-rates by metric; None takes those of the points.
        styles: of the curves; None gives each one by its place.

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
        rows = bd_rows(points, anchor, bd)
        styles = styles or series_styles(group_by_series(points))
        _compose(figure, points, styles, rows=rows, log_bpp=log_bpp, published=published)
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
    styles: Mapping[str, Style],
    *,
    rows: Sequence[Sequence[str]],
    log_bpp: bool,
    published: Sequence[PublishedCurve],
) -> None:
    """Put panels, table, notes and legend under each other."""
    metrics = panel_metrics(points)
    shown = [curve for curve in published if curve.metric in metrics]
    width = _PANEL_INCHES[0] * max(len(metrics), 1.6) + 0.2
    lines = wrap(notes(points, shown), width)
    heights = (
        _PANEL_INCHES[1],
        max(_ROW_INCHES * (len(rows) + 0.5), 0.01),
        max(_NOTE_INCHES * len(lines), 0.01),
    )
    grid = figure.add_gridspec(3, len(metrics), height_ratios=heights)
    handles: dict[str, Any] = {}
    for column, metric in enumerate(metrics):
        axes = figure.add_subplot(grid[0, column])
        for series, curve in group_by_series(points).items():
            handles |= _draw_curve(axes, series, curve, metric, styles[series])
        handles |= _draw_literature(axes, shown, metric)
        _finish_panel(axes, metric, log_bpp=log_bpp)
    if rows:
        draw_table(figure.add_subplot(grid[1, :]), rows)
    if lines:
        draw_notes(figure.add_subplot(grid[2, :]), lines)
    figure.set_size_inches(width, sum(heights) + 0.18 * -(-len(handles) // 4) + 0.5)
    figure.suptitle(points[0].label, fontsize=10, parse_math=False)
    legend = figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        handlelength=3.2,  # so that dashes show
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw_curve(
    axes: Axes, series: str, points: Sequence[EvalPoint], metric: str, style: Style
) -> dict[str, Any]:
    shown = [p for p in points if metric in p.metrics]
    (line,) = axes.plot(
        [p.bpp for p in shown],
        [metric_db(metric, p.metrics[metric]) for p in shown],
        color=style.color,
        linewidth=style.width * 0.75,
        linestyle=_DASHES[style.dash],
        marker=_MARKERS[style.marker],
        markersize=5,
        zorder=3 if points[0].kind == "inr" else 2,
    )
    return {series: line}


def _draw_literature(
    axes: Axes, published: Sequence[PublishedCurve], metric: str
) -> dict[str, Any]:
    """Draw the published curves of a metric, each in the colour it has in every panel."""
    styles = published_styles(curve.label for curve in published)
    handles = {}
    for curve in published:
        if curve.metric != metric:
            continue
        style = styles[curve.label]
        (line,) = axes.plot(
            [bpp for bpp, _ in curve.points],
            [metric_db(curve.metric, value) for _, value in curve.points],
            color=style.color,
            linestyle=_DASHES[style.dash],
            linewidth=style.width * 0.75,
            marker=_MARKERS[style.marker.removesuffix("-open")],
            markersize=4,
            markerfacecolor="white",
            zorder=1,
        )
        handles[curve.label] = line
    return handles


def _finish_panel(axes: Axes, metric: str, *, log_bpp: bool) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(axis_label(metric))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    if log_bpp:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=0)

"""The plot of `equal_time.py`: PSNR over seconds, a panel a clip.

Markers are files: PSNR of what decodes, mean over seeds, with a bar from the worst to the best, at
the seconds that the encodes took. Thin lines are fits as they went: PSNR of recent batches, of one
seed a budget, for the variants that are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equal_time_records import Record

from inrcodec.evaluation._plots import _DASHES, _MARKERS, _RC
from inrcodec.evaluation._style import Style, our_styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)  # seconds
_PANEL_INCHES = (4.6, 3.9)
_LEGEND_INCHES = 1.5
_UNDER_DB = 3.0  # how far below the worst file fits are shown


def draw(records: Sequence[Record], path: Path, *, named: Sequence[str]) -> None:
    """Draw a PNG; the same records give the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clips = sorted({r["clip"] for r in records}, key=lambda clip: (clip != "bunny", clip))
    others = sorted({r["variant"] for r in records} - set(named))
    styles = our_styles([*named, *others])
    width, height = _PANEL_INCHES
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(width * len(clips) + _LEGEND_INCHES, height), layout="constrained")
        FigureCanvasAgg(figure)
        handles: dict[str, tuple[float, Any]] = {}
        for axes, clip in zip(figure.subplots(1, len(clips), squeeze=False)[0], clips, strict=True):
            ours = [r for r in records if r["clip"] == clip]
            handles = _draw_files(axes, ours, styles, named) | handles
            _draw_fits(axes, [r for r in ours if r["variant"] in named], styles)
            _finish(axes, ours)
        names = sorted(handles, key=lambda name: handles[name][0], reverse=True)  # as they end
        figure.legend(
            [handles[name][1] for name in names],
            names,
            loc="outside right center",
            frameon=False,
            handlelength=2.8,  # so that dashes show
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Software": None})


def _draw_files(
    axes: Axes, records: Sequence[Record], styles: Mapping[str, Style], named: Sequence[str]
) -> dict[str, tuple[float, Any]]:
    """Draw a line a variant; returns it and the PSNR that it ends at."""
    drawn = {}
    for name in dict.fromkeys(r["variant"] for r in records):
        by_budget: dict[float, list[Record]] = {}
        for r in records:
            if r["variant"] == name:
                by_budget.setdefault(r["budget_seconds"], []).append(r)
        points = [by_budget[seconds] for seconds in sorted(by_budget)]
        quality = [[r["psnr_db"] for r in seeds] for seeds in points]
        means = [sum(values) / len(values) for values in quality]
        seconds = [sum(r["seconds"]["total"] for r in seeds) / len(seeds) for seeds in points]
        style = styles[name]
        (line,) = axes.plot(
            seconds,
            means,
            color=style.color,
            linewidth=style.width * (0.65 if name in named else 0.4),
            linestyle=_DASHES[style.dash],
            marker=_MARKERS[style.marker],
            markersize=(5.5 if name in named else 4) * (1.4 if style.marker == "star" else 1),
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=3 if name in named else 2,
        )
        axes.vlines(
            seconds, list(map(min, quality)), list(map(max, quality)), color=style.color, lw=1.2
        )
        drawn[name] = (means[-1], line)
    return drawn


def _draw_fits(axes: Axes, records: Sequence[Record], styles: Mapping[str, Style]) -> None:
    shown: dict[tuple[str, float], Record] = {}  # of the first seed
    for r in sorted(records, key=lambda r: r["seed"]):
        shown.setdefault((r["variant"], r["budget_seconds"]), r)
    for (name, _), r in shown.items():
        begin = r["seconds"]["read"]
        axes.plot(
            [begin + seconds for seconds, _, _ in r["trace"]],
            [psnr_db for _, psnr_db, _ in r["trace"]],
            color=styles[name].color,
            linewidth=0.6,
            alpha=0.55,
            zorder=1,
        )


def _finish(axes: Axes, records: Sequence[Record]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    totals = [r["seconds"]["total"] for r in records]
    quality = [r["psnr_db"] for r in records]
    first = records[0]
    axes.set_xscale("log")
    axes.set_xlim(min(totals) / 4, max(totals) * 1.2)
    axes.set_ylim(min(quality) - _UNDER_DB, max(quality) + 0.7)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("time of the whole encode; thin lines: the fit")
    axes.set_ylabel("PSNR RGB (dB)")
    axes.set_title(
        f"{first['clip']} {first['width']}x{first['height']}, {first['frames']} frames, "
        f"{first['size_bytes'] / 1000:g} kB",
        parse_math=False,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)


def _tick(seconds: float, _: int | None = None) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"

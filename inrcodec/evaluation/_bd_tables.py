"""BD-rates of all curves against an anchor: a matrix for the page, markdown, means over clips.

In: `EvalPoint`s. Out: per cent, or None (shown as a dash) where a BD-rate would say nothing: too
few points, curves that do not rise, or that share less than `MIN_SHARED` of their quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inrcodec.evaluation._bd import bd_rate, shared_quality
from inrcodec.evaluation._points import EvalPoint, group_by_series, metric_db
from inrcodec.evaluation._tables import LOWER_IS_BETTER, metric_name, metrics_of

MIN_SHARED = 0.25
"""Of the range of quality of the curve with the smaller one; under it there is no BD-rate."""

Curves = Mapping[str, Sequence[EvalPoint]]
BdRow = dict[str, float | None]
BdMatrix = dict[str, BdRow]


def find_anchor(curves: Curves, wished: str) -> str | None:
    """Return the curve of the series or else the codec `wished`, if there is one."""
    if wished in curves:
        return wished
    return next((series for series in curves if curves[series][0].codec == wished), None)


def common_anchor(points: Sequence[EvalPoint], wished: str) -> str:
    """Return the one curve that BD-rates are against on every clip: what most clips have.

    `wished` as it is where no clip has a curve of it.
    """
    series = [s for curves in _by_clip(points).values() for s in curves]
    if wished in series:
        return wished
    codecs = {p.series: p.codec for p in points}
    found = [s for s in dict.fromkeys(series) if codecs[s] == wished]
    return max(found, key=series.count, default=wished)  # of equals, the first


def bd_rates(curves: Curves, anchor: str, metric: str) -> BdRow:
    """Return the BD-rate in per cent of every curve against the curve `anchor`."""
    reference = _curve(curves[anchor], metric)
    return {
        series: 0.0 if series == anchor else _bd_rate(reference, _curve(points, metric))
        for series, points in curves.items()
    }


def bd_matrix(curves: Curves, metric: str) -> BdMatrix:
    """Return the BD-rate of each curve (outer name) against each (inner name)."""
    columns = {anchor: bd_rates(curves, anchor, metric) for anchor in curves}
    return {series: {anchor: columns[anchor][series] for anchor in curves} for series in curves}


def mean_matrix(points: Sequence[EvalPoint], metric: str) -> BdMatrix:
    """Return the means over clips of their matrices: of all curves, None where a clip has none."""
    matrices = [bd_matrix(curves, metric) for curves in _by_clip(points).values()]
    names = list(group_by_series(points))

    def mean(series: str, anchor: str) -> float | None:
        return _mean([matrix.get(series, {}).get(anchor) for matrix in matrices])

    return {series: {anchor: mean(series, anchor) for anchor in names} for series in names}


def bd_markdown(points: Sequence[EvalPoint], *, anchor: str) -> str:
    """Return the BD-rates of all clips as markdown, one table a clip, and their mean.

    All of them are against one curve: that of `anchor` which most clips have.
    """
    anchor = common_anchor(points, anchor)
    clips = _by_clip(points)
    parts, without = [], []
    for clip, curves in clips.items():
        parts.append(f"## {next(iter(curves.values()))[0].label}\n")
        if anchor not in curves:
            without.append(clip)
            parts.append(f"No curve of {anchor} here, so no BD-rates.\n")
            continue
        metrics = metrics_of(p for p in points if p.clip == clip)
        by_metric = {metric: bd_rates(curves, anchor, metric) for metric in metrics}
        parts.append(_markdown_table(by_metric, anchor))
    if len(clips) > 1:
        parts.append(f"## Mean over {len(clips)} clips\n")
        if without:
            parts.append(f"No curve of {anchor} on {', '.join(without)}, so no means.\n")
        else:
            parts.append(_markdown_table(_mean_rates(points, anchor), anchor))
    return "\n".join(parts)


def percent(value: float | None) -> str:
    """Return a BD-rate for people.

    >>> percent(-12.345), percent(None)
    ('-12.3 %', '–')
    """
    return "–" if value is None else f"{value:+.1f} %"


def _by_clip(points: Sequence[EvalPoint]) -> dict[str, dict[str, list[EvalPoint]]]:
    """Return the curves of each clip."""
    clips = dict.fromkeys(p.clip for p in points)
    return {clip: group_by_series(p for p in points if p.clip == clip) for clip in clips}


def _mean_rates(points: Sequence[EvalPoint], anchor: str) -> dict[str, BdRow]:
    matrices = {metric: mean_matrix(points, metric) for metric in metrics_of(points)}
    return {
        metric: {series: row[anchor] for series, row in matrix.items()}
        for metric, matrix in matrices.items()
    }


def _markdown_table(by_metric: Mapping[str, BdRow], anchor: str) -> str:
    labels = [metric_name(metric) for metric in by_metric]
    lines = [f"| BD-rate against {anchor} | {' | '.join(labels)} |"]
    lines.append("|---" * (len(labels) + 1) + "|")
    for series in next(iter(by_metric.values()), {}):
        cells = [percent(row.get(series)) for row in by_metric.values()]
        lines.append(f"| {series} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of values that are all there."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _curve(points: Sequence[EvalPoint], metric: str) -> list[tuple[float, float]]:
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return [
        (p.bpp, sign * metric_db(metric, p.metrics[metric])) for p in points if metric in p.metrics
    ]


def _bd_rate(anchor: list[tuple[float, float]], test: list[tuple[float, float]]) -> float | None:
    try:
        if shared_quality(anchor, test) < MIN_SHARED:
            return None
        value = bd_rate(anchor, test)
    except (ValueError, ZeroDivisionError):
        return None
    return value if abs(value) < 1e6 else None  # not a number neither

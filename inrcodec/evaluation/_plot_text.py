"""What stands under the panels of a plot: the BD-rates as a table, and notes.

In: points, or BD-rates that were averaged before. Out: rows of text, drawn into axes of their own.
Text is drawn as it is: names of clips and codecs may hold what matplotlib takes for formulas.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from inrcodec.evaluation._bd_tables import BdMatrix, bd_rates, find_anchor, percent
from inrcodec.evaluation._literature import protocol_notes
from inrcodec.evaluation._points import EvalPoint, group_by_series
from inrcodec.evaluation._tables import metric_name, metrics_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from inrcodec.evaluation._published import PublishedCurve

_NOTE_CHARACTERS_PER_INCH = 19  # at _NOTE_SIZE
_NOTE_SIZE = 6.5


def bd_rows(
    points: Sequence[EvalPoint], anchor: str, bd: Mapping[str, BdMatrix] | None
) -> list[list[str]]:
    """Return the table's cells: a heading, then a row a curve; none without the anchor.

    Args:
        points: whose BD-rates are taken where `bd` does not say them.
        anchor: codec or curve.
        bd: matrices by metric, see `mean_matrix`.
    """
    curves = group_by_series(points)
    found = find_anchor(curves, anchor)
    if found is None:
        return []
    if bd is None:
        rates = {metric: bd_rates(curves, found, metric) for metric in metrics_of(points)}
    else:
        rates = {m: {s: row[found] for s, row in matrix.items()} for m, matrix in bd.items()}
    others = [series for series in next(iter(rates.values())) if series != found]
    if not others:
        return []
    heading = [f"BD-rate vs {found}", *map(metric_name, rates)]
    return [heading, *([s, *(percent(row[s]) for row in rates.values())] for s in others)]


def notes(points: Sequence[EvalPoint], published: Sequence[PublishedCurve]) -> list[str]:
    """Return what must be said of a plot: the budget of our fits, protocols of the literature."""
    budgets = " or ".join(dict.fromkeys(p.budget for p in points if p.budget))
    said = [f"Fits of ours: {budgets} each"] if budgets else []
    protocols = protocol_notes(published)
    return said + [f"Published, by another protocol than ours. {note}" for note in protocols]


def wrap(said: Sequence[str], inches: float) -> list[str]:
    """Return notes as lines that are no wider than the figure."""
    width = int(inches * _NOTE_CHARACTERS_PER_INCH)
    return [line for note in said for line in textwrap.wrap(note, width)]


def draw_notes(axes: Axes, lines: Sequence[str]) -> None:
    """Draw lines of small print."""
    axes.set_axis_off()
    text = "\n".join(lines)
    axes.text(0.01, 1.0, text, va="top", fontsize=_NOTE_SIZE, color="#444444", parse_math=False)


def draw_table(axes: Axes, rows: Sequence[Sequence[str]]) -> None:
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
                parse_math=False,
            )
    for y, width in ((0, 0.9), (1, 0.5), (len(rows), 0.9)):
        axes.axhline(y, color="#333333", linewidth=width)

"""How a curve looks, the same in the plots and in the report, in print and for the colour-blind.

Ours are in the colours of Okabe and Ito and solid, reference codecs in greys and muted tones,
published curves dashed. Markers differ too, so that no curve is told by its colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inrcodec.evaluation._points import EvalPoint

_OURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_OUR_MARKERS = ("circle", "square", "diamond", "triangle-up", "pentagon", "star")
_MUTED = {
    "x264": ("#a0a0a0", "#8c8c8c"),
    "x265": ("#5e5e5e", "#c2c2c2"),
    "svtav1": ("#8a7248", "#b79c6d"),
    "libaom": ("#a58f9c", "#b9a3b0"),
    "vvenc": ("#5b4a7d", "#a99bc9"),
}
_OTHER_MUTED = ("#7a7a6a", "#a8a898")
_REFERENCE_MARKERS = ("x", "cross", "triangle-down", "hexagon", "asterisk")


@dataclass(frozen=True)
class Style:
    """Of one curve; marker names are Plotly's."""

    color: str  # on white
    dark_color: str  # on black
    marker: str
    width: float


def series_styles(curves: Mapping[str, Sequence[EvalPoint]]) -> dict[str, Style]:
    """Return a style for each curve."""
    styles: dict[str, Style] = {}
    ours = references = 0
    for series, points in curves.items():
        if points[0].kind == "inr":
            color = _OURS[ours % len(_OURS)]
            styles[series] = Style(color, color, _OUR_MARKERS[ours % len(_OUR_MARKERS)], 2.2)
            ours += 1
        else:
            light, dark = _MUTED.get(points[0].codec, _OTHER_MUTED)
            marker = _REFERENCE_MARKERS[references % len(_REFERENCE_MARKERS)]
            styles[series] = Style(light, dark, marker, 1.5)
            references += 1
    return styles

"""How a curve looks, the same in the plots and in the report, in print and for the colour-blind.

Ours are in the colours of Okabe and Ito, reference codecs muted, published curves dashed with open
markers. No two curves are alike: where the colours of a kind start again, lines
change their dash, and there are as many markers as have no divisor in common with the colours.
Colour and dash tell lines without markers apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inrcodec.evaluation._points import EvalPoint

_Colors = tuple[str, str]  # on white, on black
_OURS: tuple[_Colors, ...] = (
    *(("#0072b2",) * 2, ("#d55e00",) * 2, ("#009e73",) * 2),
    *(("#cc79a7",) * 2, ("#e69f00",) * 2, ("#56b4e9",) * 2),
)
_OUR_MARKERS = ("circle", "square", "diamond", "triangle-up", "star")
_KNOWN: Mapping[str, _Colors] = {
    "x264": ("#a0a0a0", "#8c8c8c"),
    "x265": ("#5e5e5e", "#c2c2c2"),
    "svtav1": ("#8a7248", "#b79c6d"),
    "libaom": ("#a58f9c", "#b9a3b0"),
    "vvenc": ("#5b4a7d", "#a99bc9"),
}
_OTHERS: tuple[_Colors, ...] = (  # of videos that are compared; Paul Tol's muted scheme
    *(("#882255", "#d88ab0"), ("#117733", "#6cc08b"), ("#332288", "#9d92e0")),
    *(("#cc6677", "#e08a98"), ("#44aa99", "#44aa99"), ("#999933", "#c3c35e")),
)
_REFERENCE_MARKERS = ("x", "cross", "triangle-down", "hexagon", "asterisk")
_DASHES = ("solid", "dashdot", "dot", "longdash", "longdashdot")
_PUBLISHED: tuple[_Colors, ...] = (
    *(("#b2182b", "#f4817a"), ("#7b3294", "#c2a5cf"), ("#8c510a", "#dfa55f")),
    *(("#01665e", "#6cc4b8"), ("#4d4d4d", "#bdbdbd"), ("#c51b7d", "#f1a3cd")),
    ("#5aae61", "#a6dba0"),
)
_PUBLISHED_MARKERS = ("circle-open", "square-open", "diamond-open", "triangle-up-open")


@dataclass(frozen=True)
class Style:
    """Of one curve; names of markers and dashes are Plotly's."""

    color: str  # on white
    dark_color: str  # on black
    marker: str
    width: float
    dash: str = "solid"


def series_styles(curves: Mapping[str, Sequence[EvalPoint]]) -> dict[str, Style]:
    """Return a style for each curve."""
    styles: dict[str, Style] = {}
    ours = others = known = 0
    presets: Counter[str] = Counter()  # of a known codec so far
    for series, points in curves.items():
        codec = points[0].codec
        if points[0].kind == "inr":
            styles[series] = _cycled(ours, _OURS, _OUR_MARKERS, width=2.2)
            ours += 1
        elif codec in _KNOWN:  # whose colour is its own, and whose presets have dashes
            marker = _REFERENCE_MARKERS[known % len(_REFERENCE_MARKERS)]
            dash = _DASHES[presets[codec] % len(_DASHES)]
            styles[series] = Style(*_KNOWN[codec], marker, 1.5, dash)
            presets[codec] += 1
            known += 1
        else:
            styles[series] = _cycled(others, _OTHERS, _REFERENCE_MARKERS, width=1.5)
            others += 1
    return styles


def our_styles(names: Iterable[str]) -> dict[str, Style]:
    """Return a style for each curve of ours, by its name."""
    return {
        name: _cycled(index, _OURS, _OUR_MARKERS, width=2.2)
        for index, name in enumerate(dict.fromkeys(names))
    }


def published_styles(names: Iterable[str]) -> dict[str, Style]:
    """Return a style for each published curve, by its label."""
    return {
        name: Style(
            *_PUBLISHED[index % len(_PUBLISHED)],
            _PUBLISHED_MARKERS[index % len(_PUBLISHED_MARKERS)],
            1.4,
            "dash",
        )
        for index, name in enumerate(dict.fromkeys(names))
    }


def _cycled(
    index: int, colors: Sequence[_Colors], markers: Sequence[str], *, width: float
) -> Style:
    """Return the style number `index`: colours in turn, another dash each time they start again."""
    light, dark = colors[index % len(colors)]
    dash = _DASHES[index // len(colors) % len(_DASHES)]
    return Style(light, dark, markers[index % len(markers)], width, dash)

"""Looks of curves: whoever prints or is colour-blind can tell any two of them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from inrcodec import models
from inrcodec.evaluation._plots import _DASHES, _MARKERS
from inrcodec.evaluation._points import EvalPoint, group_by_series
from inrcodec.evaluation._style import Style, published_styles, series_styles

MakePoint = Callable[..., EvalPoint]


def networks(make_point: MakePoint) -> list[EvalPoint]:
    return [make_point(name, 0.1, kind="inr") for name in models.names()]


def videos(make_point: MakePoint) -> list[EvalPoint]:
    """As `inrcodec compare` has them."""
    return [replace(make_point(f"{i}.mp4", 0.1), preset=None) for i in range(12)]


def presets(make_point: MakePoint) -> list[EvalPoint]:
    names = ("medium", "slow", "veryslow", "slow tune=psnr")
    return [replace(make_point(codec, 0.1), preset=p) for codec in ("x264", "x265") for p in names]


@pytest.mark.parametrize("make", [networks, videos, presets])
def test_no_two_curves_are_alike(
    make: Callable[[MakePoint], list[EvalPoint]], make_point: MakePoint
) -> None:
    styles = list(series_styles(group_by_series(make(make_point))).values())
    assert len(styles) > 7
    check(styles)


def test_no_two_published_curves_are_alike() -> None:
    styles = list(published_styles(map(str, range(20))).values())
    assert len({(s.color, s.marker) for s in styles}) == 20
    assert {s.dash for s in styles} == {"dash"}
    assert {s.marker.removesuffix("-open") for s in styles} <= set(_MARKERS)


def check(styles: list[Style]) -> None:
    for by in ("color", "dark_color"):
        assert len({(getattr(s, by), s.marker) for s in styles}) == len(styles)
        assert len({(getattr(s, by), s.dash) for s in styles}) == len(styles)  # without markers
    assert {s.dash for s in styles} <= set(_DASHES) - {"dash"}  # those are published
    assert {s.marker for s in styles} <= set(_MARKERS)

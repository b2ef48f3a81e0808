"""BD-rates of curves: against one anchor on every clip, as means, and where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from inrcodec.evaluation._bd_tables import (
    bd_markdown,
    bd_matrix,
    bd_rates,
    common_anchor,
    mean_matrix,
)
from inrcodec.evaluation._points import EvalPoint, group_by_series

MakePoint = Callable[..., EvalPoint]


def test_bd_matrix(made_points: list[EvalPoint]) -> None:
    matrix = bd_matrix(group_by_series(made_points), "psnr_rgb")
    assert matrix["x265 slow"]["x265 slow"] == 0
    # 1.5 dB are a quarter of the 6 dB that doubling the rate brings.
    assert matrix["x264 slow"]["x265 slow"] == pytest.approx(100 * (2**0.25 - 1), abs=0.01)
    assert matrix["x265 slow"]["x264 slow"] == pytest.approx(100 * (2**-0.25 - 1), abs=0.01)


def test_bd_rates_that_there_are_not_are_dashes(
    make_point: MakePoint, made_points: list[EvalPoint]
) -> None:
    alone = make_point("hinerv", 0.05, kind="inr")
    text = bd_markdown([*made_points, alone], anchor="x265")
    assert "| BD-rate against x265 slow | PSNR RGB | MS-SSIM |" in text
    assert "| hinerv | – | – |" in text
    assert "| x264 slow | +18.9 %" in text
    assert "No curve of libaom here" in bd_markdown(made_points, anchor="libaom")


def test_bd_rates_of_several_clips_are_averaged(
    make_point: MakePoint, made_points: list[EvalPoint]
) -> None:
    more = [
        make_point(codec, bpp, at_one_db=db, clip="more")
        for codec, db in (("x264", 45.5), ("x265", 45.5))
        for bpp in (0.02, 0.05, 0.1)
    ]
    text = bd_markdown([*made_points, *more], anchor="x265")
    mean = text.split("## Mean over 2 clips")[1]
    assert "| x264 slow | +9.5 %" in mean
    assert "| vvenc slow | – |" in mean  # is not on every clip


def test_a_series_that_the_first_clip_lacks_is_a_dash(
    make_point: MakePoint, made_points: list[EvalPoint]
) -> None:
    first = [make_point("x265", bpp, clip="before") for bpp in (0.02, 0.05, 0.1)]
    text = bd_markdown([*first, *made_points], anchor="x265")
    mean = text.split("## Mean over 2 clips")[1]
    assert "| x264 slow | – | – |" in mean
    matrix = mean_matrix([*first, *made_points], "psnr_rgb")
    assert set(matrix) == {"hnerv", "nervpp", "vvenc slow", "x264 slow", "x265 slow"}
    assert matrix["x264 slow"]["x265 slow"] is None


def test_all_clips_have_one_anchor(make_point: MakePoint) -> None:
    points = [
        replace(make_point(codec, bpp, at_one_db=db, clip=clip), preset=preset)
        for clip in ("a", "b")
        for codec, preset, db in (
            ("x264", "slow", 44.0),
            ("x265", "fast", 45.0),
            ("x265", "slow", 45.5),
        )
        for bpp in (0.02, 0.05, 0.1)
        if (clip, preset) != ("a", "fast")
    ]
    points.sort(key=lambda p: (p.clip, p.series))
    assert common_anchor(points, "x265") == "x265 slow"  # though b has x265 fast before it
    text = bd_markdown(points, anchor="x265")
    assert text.count("| BD-rate against x265 slow |") == 3
    assert text.count("| x264 slow | +18.9 % | ") == 3
    assert common_anchor(points, "x265 fast") == "x265 fast"
    assert "No curve of x265 fast on a, so no means." in bd_markdown(points, anchor="x265 fast")


@pytest.mark.parametrize(("above", "is_there"), [(1.0, True), (9.5, True), (10.5, False)])
def test_a_sliver_of_overlap_gives_no_bd_rate(
    make_point: MakePoint, above: float, is_there: bool
) -> None:
    """Both curves span 6 log2(5) = 13.9 dB, so that 25 % are shared when they are 10.4 dB apart."""
    curves = {
        "low": [make_point("x264", bpp, at_one_db=40) for bpp in (0.02, 0.05, 0.1)],
        "high": [make_point("x265", bpp, at_one_db=40 + above) for bpp in (0.02, 0.05, 0.1)],
    }
    rate = bd_rates(curves, "low", "psnr_rgb")["high"]
    assert (rate is not None) == is_there

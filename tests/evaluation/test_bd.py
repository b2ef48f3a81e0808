"""BD-rate and BD-PSNR: against known curves, and against the package `bjontegaard`."""

from __future__ import annotations

import doctest
import math

import bjontegaard
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.evaluation import _bd, bd_psnr, bd_rate
from inrcodec.evaluation._bd import shared_quality

Points = list[tuple[float, float]]

# The curves of the README of github.com/FAU-LMS/bjontegaard: x265 at two presets, kbit/s and dB.
ANCHOR = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
TEST = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]


def package(name: str, anchor: Points, test: Points) -> float:
    curves = [list(values) for points in (anchor, test) for values in zip(*points, strict=True)]
    function = getattr(bjontegaard, name)
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    return float(function(*curves, **options))


def test_the_package_agrees_on_its_own_example() -> None:
    assert bd_rate(ANCHOR, TEST) == pytest.approx(package("bd_rate", ANCHOR, TEST), abs=1e-9)
    assert bd_psnr(ANCHOR, TEST) == pytest.approx(package("bd_psnr", ANCHOR, TEST), abs=1e-9)


@st.composite
def curves(draw: st.DrawFn) -> Points:
    """2 to 6 points that grow, with rates from 0.05 and qualities from 30."""
    size = draw(st.integers(2, 6))
    steps = st.lists(st.floats(0.05, 1.5), min_size=size, max_size=size)
    log_rate, quality, points = math.log10(0.05), 30.0, []
    for rate_step, quality_step in zip(draw(steps), draw(steps), strict=True):
        points.append((10**log_rate, quality))
        log_rate, quality = log_rate + rate_step, quality + 3 * quality_step
    return points


@settings(max_examples=60, deadline=None)
@given(curves(), curves())
def test_the_package_agrees_on_any_curves(anchor: Points, test: Points) -> None:
    expected = package("bd_rate", anchor, test)
    assert bd_rate(anchor, test) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert bd_psnr(anchor, test) == pytest.approx(package("bd_psnr", anchor, test), abs=1e-6)


def test_a_fifth_less_rate_is_minus_twenty_percent() -> None:
    cheaper = [(0.8 * rate, quality) for rate, quality in ANCHOR]
    assert bd_rate(ANCHOR, cheaper) == pytest.approx(-20)
    assert bd_rate(cheaper, ANCHOR) == pytest.approx(25)


def test_one_decibel_more_is_one_decibel() -> None:
    better = [(rate, quality + 1) for rate, quality in ANCHOR]
    assert bd_psnr(ANCHOR, better) == pytest.approx(1)


def test_straight_lines_give_the_mean_worked_out_by_hand() -> None:
    # From 30 to 33 dB the anchor needs 0.1 to 0.2 bpp, the test 0.1 to 0.1: over the shared 30 to
    # 33 dB its log2 of the rate is less by 0 to 1, on average 1/2.
    anchor, test = [(0.1, 30), (0.2, 33)], [(0.1, 30), (0.1 * (1 + 1e-12), 33)]
    assert bd_rate(anchor, test) == pytest.approx(100 * (2**-0.5 - 1), abs=1e-6)


def test_only_the_shared_range_counts() -> None:
    # Above 36 dB the test has a point of its own, which is wildly expensive.
    anchor = [(0.1, 30), (0.2, 33)]
    assert bd_rate(anchor, [(0.2, 30), (0.4, 33), (0.8, 36), (90, 36.1)]) == pytest.approx(100)
    assert bd_psnr([(0.2, 33), (0.4, 36)], [(0.1, 29), *anchor[1:], (0.4, 36), (0.8, 39)]) > -0.2


def test_the_order_of_points_does_not_matter() -> None:
    assert bd_rate(ANCHOR[::-1], TEST[1:] + TEST[:1]) == bd_rate(ANCHOR, TEST)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ([(0.1, 30)], "test: 1 points, must be >= 2"),
        ([(0.0, 30), (0.1, 31)], "rates must be positive"),
        ([(0.1, 30), (0.2, math.inf)], "all numbers finite"),
        ([(0.1, 30), (0.2, 29)], "quality must grow with the rate"),
        ([(0.1, 30), (0.1, 31)], "quality must grow with the rate"),
        ([(0.1, 40), (0.2, 43)], "share no quality: quality 30 to 33 and 40 to 43"),
    ],
)
def test_curves_that_make_no_sense_are_refused(test: Points, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bd_rate([(0.1, 30), (0.2, 33)], test)


def test_curves_that_share_no_rate_have_no_bd_psnr() -> None:
    with pytest.raises(ValueError, match="share no rate"):
        bd_psnr([(0.1, 30), (0.2, 33)], [(0.3, 30), (0.4, 33)])


def test_its_examples_hold() -> None:
    result = doctest.testmod(_bd)
    assert (result.failed, result.attempted) == (0, 3)


def test_the_shared_part_is_of_the_smaller_range_of_quality() -> None:
    wide, narrow = [(0.1, 20.0), (0.2, 40.0)], [(0.1, 36.0), (0.2, 44.0)]
    assert shared_quality(wide, narrow) == shared_quality(narrow, wide) == 0.5
    assert shared_quality(wide, [(0.1, 25.0), (0.2, 26.0)]) == 1
    assert shared_quality(wide, [(0.1, 41.0), (0.2, 42.0)]) == 0

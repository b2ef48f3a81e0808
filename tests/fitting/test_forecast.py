"""The forecast of a fit's PSNR: silent at first, then within its own error on recorded curves."""

from __future__ import annotations

import math

import pytest

from inrcodec.fitting._coarse import share_of_steps
from inrcodec.fitting._curve import CurvePoint
from inrcodec.fitting._forecast import Forecast, Rounding, forecast

# PSNR of every epoch of recorded fits (benchmarks/notes/forecast.md), and of the decoded file.
RECORDED: dict[str, tuple[str, float]] = {
    "bunny, hnervpp": (
        "13.5 19.0 20.9 22.0 22.6 23.1 23.4 23.7 24.1 24.4 24.7 24.8 25.1 25.2 25.4 25.6 25.7 "
        "25.8 26.0 26.2 26.1 26.2 26.3 26.5 26.4 26.6 26.7 26.8 26.9 27.0 27.1 27.2 27.2 27.2 "
        "27.3 27.4 27.4 27.5 27.6 27.6 27.6 27.7 27.7 27.7 27.8 27.7 27.7 27.7 27.7 27.8 27.8 "
        "27.8 27.8 27.8 27.8 27.8 27.9 27.9 27.9 27.9 ",
        27.72,
    ),
    "bunny, hnerv": (
        "13.0 16.9 19.1 20.7 21.5 22.0 22.5 22.4 22.5 22.3 22.9 23.4 23.5 23.5 23.6 24.0 24.2 "
        "24.4 24.4 24.5 24.7 24.8 24.7 25.2 25.3 25.3 25.4 25.5 25.8 25.9 26.0 26.0 26.1 26.1 "
        "26.2 26.2 26.3 26.3 26.3 26.4 ",
        26.24,
    ),
    "bikes, hnervpp": (
        "17.3 24.9 27.0 27.9 28.3 29.0 29.6 29.6 30.3 30.6 31.1 31.3 30.9 31.7 31.3 32.3 32.2 "
        "32.7 33.2 33.3 33.5 33.9 33.8 34.1 34.0 34.3 34.4 34.6 34.6 34.8 34.9 35.0 35.0 35.1 "
        "35.1 35.2 35.2 35.2 35.3 35.3 ",
        35.15,
    ),
    "carphone, hnervpp": (
        "13.9 18.9 21.2 22.9 24.3 25.2 26.0 26.4 26.9 27.4 27.4 28.0 28.3 28.6 28.9 29.1 29.3 "
        "29.6 29.7 30.0 30.1 30.0 30.4 30.5 30.7 30.8 31.0 31.1 31.2 31.3 31.3 31.4 31.4 31.4 "
        "31.5 31.5 31.6 31.6 31.6 31.6 ",
        31.42,
    ),
}


def said(points: list[CurvePoint], **arguments: float) -> Forecast:
    found = forecast(points, **arguments)  # type: ignore[arg-type]
    assert found is not None
    return found


def curve(values: list[float]) -> list[CurvePoint]:
    return [CurvePoint(32 * (i + 1), value) for i, value in enumerate(values)]


def test_nothing_is_said_too_early() -> None:
    values = [15 + i for i in range(12)]
    assert forecast([], used_share=0.5) is None
    assert forecast(curve(values[:5]), used_share=0.3) is None
    assert forecast(curve(values), used_share=0.19) is None
    assert forecast(curve(values), used_share=0.2) is not None


@pytest.mark.parametrize("coarse", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("worth_db", [4.0, 9.0])
def test_what_the_falling_rate_gives_is_foretold(coarse: float, worth_db: float) -> None:
    """The end is 35 dB; points begin after the small frames."""
    errors = []
    for now in (0.35, 0.6, 0.8):
        progress = [i / 100 for i in range(1, round(100 * now) + 1) if i / 100 > coarse]
        points = [
            CurvePoint(
                round(20_000 * share_of_steps(at, coarse=coarse)),
                35 - worth_db * (1 + math.cos(math.pi * at)) / 2,
            )
            for at in progress
        ]
        found = said(points, used_share=share_of_steps(now, coarse=coarse), coarse=coarse)
        errors.append(abs(found.psnr_db - 35))
        assert errors[-1] < 2.2 * found.error_db
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3


@pytest.mark.parametrize("share", [0.2, 0.3, 0.6])
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_fits_end_near_their_forecast(name: str, share: float) -> None:
    recorded, final_db = RECORDED[name]
    values = [float(value) for value in recorded.split()]
    points = curve(values[: round(share * len(values))])
    found = forecast(points, used_share=len(points) / len(values))
    assert found is not None
    assert abs(found.psnr_db - final_db) < 2 * found.error_db


def test_the_error_shrinks_and_the_end_is_known() -> None:
    values = [20 + math.log2(i + 1) for i in range(100)]
    found = [forecast(curve(values[:n]), used_share=n / 100) for n in (20, 30, 60, 100)]
    errors = [f.error_db for f in found if f is not None]
    assert len(errors) == 4
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1
    assert found[-1] is not None
    assert found[-1].psnr_db == pytest.approx(values[-1], abs=0.2)


def test_a_fit_that_falls_is_not_forecast_below_what_it_has() -> None:
    values = [30 - 0.1 * i for i in range(40)]
    found = forecast(curve(values), used_share=0.5)
    assert found is not None
    assert found.psnr_db > values[-1]


def test_what_rounding_takes_is_taken_off() -> None:
    points = curve([20 + math.log2(i + 1) for i in range(40)])
    exact = said(points, used_share=0.9)
    rounding = Rounding()
    rounding.measured(3.0, progress=0.9, at_db=exact.psnr_db)  # doubles the error, nearly
    rounded = said(points, used_share=0.9, noise=rounding.noise)
    assert 1.0 < exact.psnr_db - rounded.psnr_db < 6.0
    assert rounded.error_db == exact.error_db
    rounding.measured(-0.1, progress=0.9, at_db=30.0)  # of a few frames: better by chance
    assert rounding.noise == 0.0


def test_through_the_quantiser_only_its_own_points_count() -> None:
    values = [20 + math.log2(i + 1) for i in range(95)] + [24.0] * 5
    begin = 32 * 95 - 10  # the point in which the phase begins is of both kinds
    assert said(curve(values[:95]), used_share=0.95).psnr_db > 26
    mixed = said(curve(values[:95]), used_share=0.95, quantized_from=begin)
    assert mixed.psnr_db > 26
    for n in (97, 100):
        found = said(curve(values[:n]), used_share=n / 100, noise=1e-3, quantized_from=begin)
        assert found.psnr_db == pytest.approx(24.0, abs=0.1)


def test_rounding_is_measured_three_times_and_never_late_twice() -> None:
    points = curve([20.0] * 6)
    rounding = Rounding()
    measured_at = []
    for progress in (0.05, 0.12, 0.2, 0.3, 0.39, 0.4, 0.5, 0.79, 0.85, 0.99):
        if rounding.is_due(progress, points):
            measured_at.append(progress)
            rounding.measured(0.5, progress=progress, at_db=30.0)
    assert measured_at == [0.12, 0.4, 0.85]
    assert not Rounding().is_due(0.5, points[:3])
    late = Rounding()
    late.measured(0.5, progress=0.5, at_db=30.0)
    assert not late.is_due(0.6, points)
    assert late.is_due(0.8, points)

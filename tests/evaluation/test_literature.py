"""Published curves are drawn beside points of the same frames only; else one learns why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inrcodec import datasets
from inrcodec.evaluation._literature import Literature, literature, protocol_notes
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._published import load_published

MakePoint = Callable[..., EvalPoint]


@pytest.fixture
def of_clip(make_point: MakePoint) -> Callable[..., list[EvalPoint]]:
    """Two points of x265 on a clip."""

    def of_clip(clip: str, **changes: Any) -> list[EvalPoint]:
        return [replace(make_point("x265", bpp, clip=clip), **changes) for bpp in (0.05, 0.1)]

    return of_clip


def bunny(points: list[EvalPoint]) -> Literature:
    return literature(load_published(), points)["bunny"]


def names(found: Literature) -> set[tuple[str, int]]:
    return {(curve.codec, len(curve.points)) for curve in found.curves}


def test_bunny_has_the_curves_of_its_size(of_clip: Callable[..., list[EvalPoint]]) -> None:
    whole = bunny(of_clip("bunny", width=1280, height=720, frames=132))
    assert names(whole) == {("HNeRV", 3), ("HNeRV-Boost", 3)}
    (reason,) = whole.reasons
    assert reason.startswith("HNeRV (published: HNeRV); HNeRV, 25 % pruned (published: HNeRV): not")
    assert "132 frames of 1280x640, bunny is here 132 frames of 1280x720" in reason
    (note,) = protocol_notes(whole.curves)
    assert "Boost" in note
    assert "132 frames, 1280x720" in note
    cropped = bunny(of_clip("bunny", width=1280, height=640, frames=132))
    assert names(cropped) == {("HNeRV", 1), ("HNeRV, 25 % pruned", 1)}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"width": 640, "height": 360, "frames": 32}, "bunny is here 32 frames of 640x360"),
        ({"width": 1280, "height": 720, "frames": 32}, "bunny is here 32 frames of 1280x720"),
        (
            {"width": 1280, "height": 720, "frames": 132, "settings": {"resize": [1280, 720]}},
            "of 1280x720 (resized)",
        ),
        (
            {"width": 1280, "height": 720, "frames": 132, "metrics": {"vmaf": 80.0}},
            "psnr_rgb was not measured on bunny",
        ),
    ],
)
def test_other_frames_have_no_curves(
    of_clip: Callable[..., list[EvalPoint]], changes: dict[str, Any], why: str
) -> None:
    found = bunny(of_clip("bunny", **changes))
    assert found.curves == ()
    assert any(why in reason for reason in found.reasons)


def test_a_clip_nobody_reports_has_neither_curves_nor_reasons(
    of_clip: Callable[..., list[EvalPoint]],
) -> None:
    found = literature(load_published(), of_clip("holiday"))
    assert found == {"holiday": Literature(), "mean": Literature()}


def uvg(of_clip: Callable[..., list[EvalPoint]], **changes: Any) -> list[EvalPoint]:
    points = []
    for name in datasets.groups()["uvg"]:
        entry = datasets.entry(name)
        size = {"width": entry.width, "height": entry.height, "frames": entry.num_frames}
        points += of_clip(name.replace("/", "-"), **{**size, **changes})
    return points


def test_means_over_uvg_are_drawn_beside_the_mean_over_its_clips(
    of_clip: Callable[..., list[EvalPoint]],
) -> None:
    found = literature(load_published(), uvg(of_clip))
    assert names(found["mean"]) >= {("HNeRV", 2), ("C3", 7), ("HiNeRV", 5)}
    assert found["mean"].reasons == ()
    assert all(of == Literature() for clip, of in found.items() if clip != "mean")


def test_means_over_uvg_need_all_of_its_clips_and_no_other(
    of_clip: Callable[..., list[EvalPoint]],
) -> None:
    rows = load_published()
    for points, why in (
        (uvg(of_clip)[:-2], "they are means that include uvg/yachtride"),
        (uvg(of_clip) + of_clip("bunny"), "they are means over 7 clips, there are others here"),
        (uvg(of_clip, frames=32), "they are of 600 frames of 1920x1080, uvg-beauty is here 32 f"),
    ):
        found = literature(rows, points)["mean"]
        assert found.curves == ()
        assert why in found.reasons[0]


def test_means_need_points_that_all_clips_have(
    of_clip: Callable[..., list[EvalPoint]],
) -> None:
    points = [replace(p, quality=float(i)) for i, p in enumerate(uvg(of_clip))]
    (reason,) = literature(load_published(), points)["mean"].reasons
    assert reason.endswith("not drawn, no codec has the same points on all clips")

"""Points that are drawn together: of one clip's frames, and of one curve's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._consistency import check_points
from inrcodec.evaluation._outputs import write_outputs
from inrcodec.evaluation._points import EvalPoint

MakePoint = Callable[..., EvalPoint]
CLIP = {"frames": [0, 12], "crop": None, "resize": [320, 180], "frames_crc32": 1}


def made(make_point: MakePoint, bpp: float, clip: str = "made", **settings: Any) -> EvalPoint:
    point = make_point("hnerv", bpp, kind="inr", clip=clip)
    return replace(point, settings={**point.settings, **CLIP, **settings})


def test_points_of_one_clip_and_curve_are_fine(
    make_point: MakePoint, made_points: list[EvalPoint]
) -> None:
    check_points(made_points)
    check_points([made(make_point, 0.1), made(make_point, 0.2, metrics=["ssim"])])
    other_clip = made(make_point, 0.1, "another", frames=None, crop=[4, 4], frames_crc32=2)
    check_points([made(make_point, 0.1), other_clip])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frames_crc32": 2}, "frames_crc32 1; .*frames_crc32 2"),
        ({"frames": None}, r"frames \[0, 12\]; .*frames None"),
        ({"crop": (64, 64)}, "crop None; .*crop \\[64, 64\\]"),
        ({"resize": None}, "resize \\[320, 180\\]; .*resize None"),
    ],
)
def test_a_clip_of_two_kinds_of_frames_is_refused(
    make_point: MakePoint, settings: dict[str, Any], words: str
) -> None:
    message = f"different frames are both called made: made/hnerv-default-0.1 has {words}; choose "
    with pytest.raises(EvaluationError, match=message):
        check_points([made(make_point, 0.1), made(make_point, 0.2, **settings)])


def test_records_without_settings_tell_by_their_size(make_point: MakePoint) -> None:
    point = make_point("x265", 0.1)
    with pytest.raises(EvaluationError, match=r"number of frames 12; .*number of frames 24"):
        check_points([point, replace(make_point("x265", 0.2), frames=24)])


@pytest.mark.parametrize("clip", ["made", "another"])
def test_a_curve_of_two_budgets_is_refused_also_across_clips(
    make_point: MakePoint, clip: str, tmp_path: Path
) -> None:
    points = [made(make_point, 0.1), made(make_point, 0.2, clip, epochs=60)]
    message = f"settings are both called hnerv: .* has epochs 30; {clip}/.*-0.2 has epochs 60; "
    with pytest.raises(EvaluationError, match=message):
        write_outputs(points, tmp_path, anchor="x265")
    assert list(tmp_path.iterdir()) == []

"""The mean over clips: of what every clip has, on each metric's own scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from inrcodec.evaluation._mean import mean_name, mean_points
from inrcodec.evaluation._points import EvalPoint

MakePoint = Callable[..., EvalPoint]


def test_points_are_means_of_rate_and_quality(make_point: MakePoint) -> None:
    metrics = [{"psnr_rgb": 30.0, "ms_ssim": 0.9}, {"psnr_rgb": 34.0, "ms_ssim": 0.98, "vmaf": 9.0}]
    points = [
        replace(make_point("x265", bpp, clip=clip), quality=28.0, metrics=of)
        for clip, bpp, of in zip("ab", (0.1, 0.3), metrics, strict=True)
    ]
    (mean,) = mean_points(points)
    assert mean.bpp == pytest.approx(0.2)
    assert mean.metrics == pytest.approx({"psnr_rgb": 32.0, "ms_ssim": 0.94})
    assert (mean.clip, mean.label, mean.per_frame) == ("mean", "mean over 2 clips", {})


def test_what_a_clip_lacks_has_no_mean(make_point: MakePoint, made_points: list[EvalPoint]) -> None:
    assert mean_points(made_points) == []
    more = [make_point("x265", bpp * 1.13, clip="more") for bpp in (0.02, 0.05)]
    means = mean_points([*made_points, *more])
    assert [(p.series, p.quality) for p in means] == [(p.series, p.quality) for p in more]
    assert mean_points([*made_points, make_point("x265", 0.9, clip="more")]) == []


def test_clips_that_share_no_metric_have_no_mean(make_point: MakePoint) -> None:
    points = [
        replace(make_point("x265", 0.1, clip=clip), quality=28.0, metrics=metrics)
        for clip, metrics in (("a", {"psnr_rgb": 30.0}), ("b", {"vmaf": 80.0}))
    ]
    assert mean_points(points) == []


def test_a_clip_may_be_called_mean() -> None:
    assert (mean_name(["a", "b"]), mean_name(["a", "mean"])) == ("mean", "mean_")

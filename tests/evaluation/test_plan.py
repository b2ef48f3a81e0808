"""What makes a point this one: its settings, and the calls that are refused at the start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from inrcodec._provenance import num_cores, processor_name
from inrcodec.errors import EvaluationError
from inrcodec.evaluation import _plan
from inrcodec.evaluation._clips import prepare_clips
from inrcodec.evaluation._plan import METHOD, EvalOptions, PointJob, curve_name, plan
from inrcodec.evaluation._points import load_points
from inrcodec.evaluation._run import check_call, evaluate
from inrcodec.evaluation.codecs import ffmpeg_version

BOTH = EvalOptions(
    codecs=("hnerv", "x264", "vvenc"),
    bpps=(8.0,),
    qualities={"x264": (30.0,), "vvenc": (30.0,)},
    presets={"x264": "ultrafast"},
    metrics=("psnr_rgb",),
    time_seconds=60.0,
)
X264 = replace(BOTH, codecs=("x264",), qualities={"x264": (30.0,)})


def jobs_of(clip: Path, out: Path, options: EvalOptions, workers: int = 1) -> list[PointJob]:
    ((source, reference),) = prepare_clips([str(clip)], out, options)
    return plan(source, reference, out, options, workers=workers)


def test_settings_are_all_that_moves_figures(tiny_clip: Path, tmp_path: Path) -> None:
    x264, vvenc, hnerv = (job.settings for job in jobs_of(tiny_clip, tmp_path, BOTH, 2))
    assert {(s["method"], s["fps"]) for s in (x264, vvenc, hnerv)} == {(METHOD, "25")}
    assert x264["ffmpeg"] == ffmpeg_version()
    assert (x264["pixel_format"], vvenc["pixel_format"]) == ("yuv420p", "yuv420p10le")
    assert x264["gop_frames"] is None
    assert hnerv["workers"] == 2  # fits of a given time share the cores
    assert hnerv["machine"] == f"{processor_name()}, {num_cores()} cores"
    assert "preset" not in hnerv
    epochs = replace(BOTH, time_seconds=None, epochs=3, codecs=("hnervpp",))
    ours = jobs_of(tiny_clip, tmp_path, epochs, 2)[-1].settings
    assert ours["workers"] is None
    assert ours["machine"] is None
    assert ours["preset"] == "medium"  # it bounds what decoding its model may cost


def test_a_codec_is_known_by_the_curve_that_it_will_have() -> None:
    options = replace(BOTH, presets={"x264": "medium"})
    assert curve_name("x264", options) == "x264 medium"
    assert curve_name("hnerv", options) == "hnerv"
    told = replace(options, recipe="paper", tune_psnr=True)
    names = [curve_name(codec, told) for codec in ("x264", "vvenc", "hnerv")]
    assert names == ["x264 medium tune=psnr", "vvenc medium tune=psnr", "hnerv paper"]


def test_jobs_hold_in_every_process(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_clip.parent)
    monkeypatch.setattr(_plan, "resolve_device", lambda name: torch.device("cuda", 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card of {device}")
    reference, _, ours = jobs_of(Path(tiny_clip.name), tmp_path, BOTH)
    assert (ours.source, ours.options.device) == (str(tiny_clip), "cuda:1")
    assert ours.settings["machine"] == "card of cuda:1"
    assert (reference.options.device, "device" in reference.settings) == ("auto", False)


def test_points_of_another_method_are_not_the_same(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate([tiny_clip], tmp_path, options=X264)
    monkeypatch.setattr(_plan, "METHOD", METHOD + 1)
    with pytest.raises(EvaluationError, match=f"method was {METHOD}, is {METHOD + 1}"):
        evaluate([tiny_clip], tmp_path, options=X264)


def test_key_frames_are_as_often_as_asked_for(tiny_clip: Path, tmp_path: Path) -> None:
    evaluate([tiny_clip], tmp_path, options=replace(X264, gop_frames=2))
    (point,) = load_points(tmp_path)
    with av.open(str(tmp_path / point.stream), format="h264") as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert sum(keys) == 3
    assert point.settings["gop_frames"] == 2
    with pytest.raises(EvaluationError, match="gop_frames was 2, is None"):
        evaluate([tiny_clip], tmp_path, options=X264)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qualities": {"x264": (99.0,)}}, "x264: crf 99 must be a number from 0 to 51"),
        ({"preset": "quick"}, "preset is 'quick'"),
        ({"recipe": "secret"}, "recipe is 'secret'"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"gop_frames": 0}, "gop_frames is 0, must be >= 1 for x264"),
        ({"codecs": ("libaom",), "gop_frames": 2}, "gop_frames is 2, must be >= 3 for libaom"),
        ({"bpps": (0.1, 0.0)}, "each must be > 0"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_read(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        check_call(
            ["nowhere.mp4"], replace(BOTH, **changes), out=Path("out"), workers=1, executor="local"
        )


@pytest.mark.parametrize("source", ["bunny", "clips/a.mp4"])
def test_results_do_not_go_where_a_source_is(source: str) -> None:
    """A folder `bunny` would go before the dataset from then on."""
    with pytest.raises(ValueError, match=f"--out is {source}, and a source too"):
        check_call([source], BOTH, out=Path(source), workers=1, executor="local")

"""`evaluate`: kept points are kept, failures do not spread, an interrupted call goes on."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inrcodec._provenance import code_version, processor_name
from inrcodec._session import checkpoint_path
from inrcodec.errors import EvaluationError, Interrupted, VideoError
from inrcodec.evaluation import _measure
from inrcodec.evaluation._clips import prepare_clips
from inrcodec.evaluation._executors import Outcome
from inrcodec.evaluation._plan import EvalOptions, PointJob, plan
from inrcodec.evaluation._points import EvalPoint, load_points
from inrcodec.evaluation._run import ProgressLines, evaluate

QUICK = {"metrics": ("psnr_rgb",), "epochs": 1}
MakePoint = Callable[..., EvalPoint]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, make_point: MakePoint) -> list[str]:
    """Replaces the measurement by made points; the titles of those that were asked for."""
    titles: list[str] = []

    def measure(job: PointJob, *, progress: bool = False) -> EvalPoint:
        titles.append(job.title)
        point = make_point(job.codec, 0.05, kind=job.kind, clip=job.reference.name)
        detail = "preset" if job.kind == "reference" else "recipe"
        video = job.reference.rgb
        size = {"width": video.width, "height": video.height, "frames": video.num_frames}
        as_asked = {"settings": job.settings, "quality": job.quality, detail: job.detail, **size}
        return EvalPoint.from_dict({**vars(point), **as_asked, "commit": code_version()})

    monkeypatch.setattr(_measure, "measure", measure)
    return titles


def options(**changes: Any) -> EvalOptions:
    given = {"codecs": ("hnerv", "x264"), "bpps": (2.0, 4.0), "qualities": {"x264": (20.0, 30.0)}}
    return EvalOptions(**{**given, **QUICK, **changes})


def test_reference_codecs_come_first_and_points_are_kept(
    tiny_clip: Path, tmp_path: Path, measured: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    summary = evaluate([tiny_clip], tmp_path, options=options(), progress=True)
    assert (summary.kept, summary.measured, summary.failures) == (0, 4, ())
    assert [title.split()[1] for title in measured] == ["x264", "x264", "hnerv,", "hnerv,"]
    assert "[1/4] tiny: x264 veryslow, 20 CRF/QP" in capsys.readouterr().err
    again = evaluate([tiny_clip], tmp_path, options=options(bpps=(2.0, 4.0, 6.0)))
    assert (again.kept, again.measured) == (4, 1)
    assert measured[4:] == ["tiny: hnerv, 6 bpp"]


def test_kept_fits_of_other_code_are_told(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    evaluate([tiny_clip], tmp_path, options=options())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate([tiny_clip], tmp_path, options=options()).kept == 4
    records = sorted((tmp_path / "points" / "tiny").glob("*.json"))
    assert len(records) == 4
    for record in records:
        point = json.loads(record.read_text())
        record.write_text(json.dumps({**point, "commit": "abc1234"}))
    said = r"2 of our points .* other code \(abc1234; this is .*delete their records"
    with pytest.warns(UserWarning, match=said):
        assert evaluate([tiny_clip], tmp_path, options=options()).kept == 4


def test_a_folder_of_raw_clips_named_like_uvgs_is_all_of_them(
    tmp_path: Path, measured: list[str]
) -> None:
    for name in ("Beauty", "Jockey"):
        file = tmp_path / "uvg" / f"{name}_64x48_120fps_420_8bit_YUV.yuv"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(range(256)) * (2 * 64 * 48 * 3 // 2 // 256))  # two frames
    summary = evaluate([tmp_path / "uvg"], tmp_path / "out", options=options(codecs=("x264",)))
    assert summary.measured == 4
    points = load_points(tmp_path / "out")
    assert {point.clip.split("_")[0] for point in points} == {"Beauty", "Jockey"}
    references = sorted((tmp_path / "out" / "reference").glob("*/reference.yuv"))
    assert [file.read_bytes()[:256] for file in references] == [bytes(range(256))] * 2


def test_other_settings_are_an_error_that_names_them(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    evaluate([tiny_clip], tmp_path, options=options())
    with pytest.raises(EvaluationError, match=r"hnerv-default-2\.json.*epochs was 1, is 2"):
        evaluate([tiny_clip], tmp_path, options=options(epochs=2))
    summary = evaluate([tiny_clip], tmp_path, options=options(epochs=2, redo=True))
    assert (summary.kept, summary.measured) == (2, 2)


def test_points_that_would_not_fit_the_others_are_not_measured(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    evaluate([tiny_clip], tmp_path, options=options())
    pictures = {path: path.read_bytes() for path in tmp_path.glob("frames/tiny/*.webp")}
    # Other rates, so that no record is in the way; but on the same curve, with another budget.
    with pytest.raises(EvaluationError, match=r"called hnerv: .*epochs 1; .*-6 has epochs 2; choo"):
        evaluate([tiny_clip], tmp_path, options=options(bpps=(6.0,), epochs=2))
    # Another codec, so that no curve is in the way; but of other frames of the clip.
    others = options(codecs=("x265",), frames=(0, 2))
    with pytest.raises(EvaluationError, match=r"frames are both called tiny: .*frames \[0, 2\]"):
        evaluate([tiny_clip], tmp_path, options=others)
    with pytest.raises(EvaluationError, match=r"both called tiny: .*resize None.*resize \[32, 24"):
        evaluate([tiny_clip], tmp_path, options=replace(others, frames=None, resize=(32, 24)))
    assert len(measured) == 4
    assert {path: path.read_bytes() for path in tmp_path.glob("frames/tiny/*.webp")} == pictures
    # Other metrics are no other curve.
    added = options(bpps=(6.0,), metrics=("psnr_rgb", "ssim"), codecs=("hnerv",), qualities={})
    assert evaluate([tiny_clip], tmp_path, options=added).measured == 1


def test_redo_replaces_a_whole_curve(tiny_clip: Path, tmp_path: Path, measured: list[str]) -> None:
    evaluate([tiny_clip], tmp_path, options=options())
    part = options(bpps=(2.0,), epochs=2, redo=True)
    with pytest.raises(EvaluationError, match="measure all of them with --redo"):
        evaluate([tiny_clip], tmp_path, options=part)
    assert evaluate([tiny_clip], tmp_path, options=replace(part, bpps=(2.0, 4.0))).measured == 2


def test_another_clip_of_the_same_name_is_not_taken_for_it(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    evaluate([tiny_clip], tmp_path / "out", options=options())
    with pytest.raises(EvaluationError, match="frames_crc32 was"):
        evaluate([tiny_clip], tmp_path / "out", options=options(frames=(1, 5)))
    copy = tmp_path / tiny_clip.name
    copy.write_bytes(tiny_clip.read_bytes())
    with pytest.raises(ValueError, match="another source has the name tiny"):
        evaluate([tiny_clip, copy], tmp_path / "two", options=options())


@pytest.mark.parametrize("error", [VideoError("two\nlines"), RuntimeError("of a library")])
def test_a_failed_point_leaves_the_others(
    error: Exception,
    tiny_clip: Path,
    tmp_path: Path,
    measured: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    succeed = _measure.measure

    def measure(job: PointJob, *, progress: bool = False) -> EvalPoint:
        if job.quality == 30:
            raise error
        return succeed(job)

    monkeypatch.setattr(_measure, "measure", measure)
    summary = evaluate([tiny_clip], tmp_path, options=options())
    assert summary.measured == 3
    (line,) = summary.failures
    assert line.startswith("tiny: x264 veryslow, 30 CRF/QP: ")
    assert "\n" not in line
    assert (tmp_path / "points/tiny/x264-veryslow-30.error.txt").read_text()
    monkeypatch.setattr(_measure, "measure", succeed)
    assert evaluate([tiny_clip], tmp_path, options=options()).measured == 1
    assert not list(tmp_path.glob("points/*/*.txt"))


def test_an_interrupted_call_keeps_what_is_done(
    tiny_clip: Path, tmp_path: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed = _measure.measure

    def measure(job: PointJob, *, progress: bool = False) -> EvalPoint:
        if job.kind == "inr":
            raise KeyboardInterrupt
        return succeed(job)

    monkeypatch.setattr(_measure, "measure", measure)
    with pytest.raises(Interrupted, match=r"2 of 4 points are in .*the same command goes on"):
        evaluate([tiny_clip], tmp_path, options=options())
    monkeypatch.setattr(_measure, "measure", succeed)
    assert evaluate([tiny_clip], tmp_path, options=options()).kept == 2


def test_a_finished_fit_is_not_repeated_for_its_scores(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    ours = options(codecs=("hnerv",), bpps=(8.0,), qualities={}, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(_measure, "score", stop)
        with pytest.raises(Interrupted):
            evaluate([tiny_clip], tmp_path, options=ours)
    (kept,) = tmp_path.glob("streams/*/*/*.json")
    fit = {**json.loads(kept.read_text()), "commit": "of the fit"}
    kept.write_text(json.dumps({**fit, "versions": {**fit["versions"], "torch": "older"}}))
    with monkeypatch.context() as patch:
        patch.setattr(_measure, "encode", stop)
        assert evaluate([tiny_clip], tmp_path, options=ours).measured == 1
    (point,) = load_points(tmp_path)
    assert (point.commit, point.versions["torch"]) == ("of the fit", "older")
    assert point.device.startswith(processor_name())
    stream = tmp_path / point.stream
    assert point.bytes == stream.stat().st_size
    assert point.metrics["psnr_rgb"] > 10
    assert json.loads(stream.with_suffix(".json").read_text())["report"]["psnr_db"] == (
        pytest.approx(point.metrics["psnr_rgb"], abs=1e-6)
    )
    assert not checkpoint_path(stream).exists()


def test_frames_of_killed_processes_are_removed(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    for name in (".decoded-999999999-a", f".decoded-{os.getpid()}-a", "kept"):
        (tmp_path / name).mkdir()
    evaluate([tiny_clip], tmp_path, options=options())
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith((".", "kept"))}
    assert left == {f".decoded-{os.getpid()}-a", ".lock", "kept"}


def test_two_workers_measure_real_points(tiny_clip: Path, tmp_path: Path) -> None:
    wanted = options(codecs=("x264",), metrics=("psnr_rgb", "psnr_yuv"))
    summary = evaluate([tiny_clip], tmp_path, options=wanted, workers=2)
    assert (summary.measured, summary.failures) == (2, ())
    low, high = load_points(tmp_path)
    assert low.bytes < high.bytes == (tmp_path / high.stream).stat().st_size
    assert low.metrics["psnr_rgb"] < high.metrics["psnr_rgb"]
    assert low.metrics["psnr_yuv"] < high.metrics["psnr_yuv"]
    assert len(low.per_frame["psnr_rgb"]) == 6
    assert (tmp_path / low.snapshots["3"]).stat().st_size > 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codecs": ("x266",)}, "codec 'x266' is unknown, must be one of x264"),
        ({"codecs": ()}, "no codecs"),
        ({"qualities": {"hnerv": (1.0,)}}, "qualities are for reference codecs, hnerv is"),
        ({"epochs": 1, "time_seconds": 3.0}, "at most one"),
    ],
)
def test_wrong_options_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(**changes)


def test_time_to_go_knows_that_fits_take_longer(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    evaluate([tiny_clip], tmp_path, options=options())
    jobs = [
        job
        for source, reference in prepare_clips([str(tiny_clip)], tmp_path, options())
        for job in plan(source, reference, tmp_path, options())
    ]
    lines = ProgressLines(jobs, kept=0, workers=2, enabled=False)
    assert lines.seconds_to_go() is None  # nothing is known yet
    lines.finish(Outcome(jobs[0], wall_seconds=4.0))
    assert lines.seconds_to_go() is None  # nothing is known of hnerv
    lines.finish(Outcome(jobs[2], wall_seconds=100.0))
    assert lines.seconds_to_go() == (4.0 + 100.0) / 2
    bounded = [
        replace(job, options=options(epochs=None, time_seconds=60.0)) for job in (jobs[0], jobs[2])
    ]
    lines = ProgressLines(bounded, kept=0, workers=1, enabled=False)
    lines.finish(Outcome(bounded[0], wall_seconds=4.0))
    assert lines.seconds_to_go() == 60.0


def test_metrics_are_checked_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown metric 'vmef', known: psnr_rgb, "):
        options(metrics=("psnr_rgb", "vmef"))
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(EvaluationError, match=r"metric lpips needs lpips: .*inrcodec\[lpips\]"):
        options(metrics=("lpips",))


def test_clips_too_small_for_every_metric_are_refused(
    tiny_clip: Path, tmp_path: Path, measured: list[str]
) -> None:
    with pytest.raises(EvaluationError, match="64x48 admit no metric asked for: ms_ssim needs"):
        evaluate([tiny_clip], tmp_path, options=options(metrics=("ms_ssim",)))
    assert measured == []

"""From sources to references: names, raw files, and what a wrong call must leave alone."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from inrcodec.errors import EvaluationError
from inrcodec.evaluation import _measure
from inrcodec.evaluation._clips import single_sources
from inrcodec.evaluation._plan import EvalOptions
from inrcodec.evaluation._points import load_points
from inrcodec.evaluation._run import evaluate
from inrcodec.video import RawVideoFormat

QUICK = EvalOptions(
    codecs=("x264",),
    qualities={"x264": (30.0,)},
    presets={"x264": "ultrafast"},
    metrics=("psnr_rgb",),
)


def copy_of(clip: Path, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clip.read_bytes())
    return path


def test_paths_that_read_alike_are_two_clips(tiny_clip: Path, tmp_path: Path) -> None:
    clips = [copy_of(tiny_clip, tmp_path / name) for name in ("x/clip.y4m", "x_clip.y4m")]
    assert evaluate(clips, tmp_path / "out", options=QUICK).measured == 2
    assert {point.clip for point in load_points(tmp_path / "out")} == {"clip", "x_clip"}


def test_names_of_one_folder_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    clips = [tmp_path / "a b.y4m", tmp_path / "a_b.y4m"]  # neither is there
    with pytest.raises(ValueError, match=r"a_b\.y4m: another source has the name a_b too: .*a b"):
        evaluate(clips, tmp_path / "out", options=QUICK)
    assert not (tmp_path / "out").exists()


def test_a_call_that_is_refused_replaces_nothing(tiny_clip: Path, tmp_path: Path) -> None:
    evaluate([tiny_clip], tmp_path, options=QUICK)
    (record,) = tmp_path.glob("reference/tiny-*/reference.json")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = replace(QUICK, frames=(1, 5))
    with pytest.raises(EvaluationError, match="frames was None"):
        evaluate([tiny_clip], tmp_path, options=other)
    assert all(path.read_bytes() == content for path, content in before.items())
    evaluate([tiny_clip], tmp_path, options=replace(other, redo=True))
    assert not record.exists()  # gigabytes, of a real clip
    assert len(list(tmp_path.glob("reference/*"))) == 1


def test_a_second_call_in_a_folder_is_refused(tiny_clip: Path, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EvaluationError, match="another inrcodec eval is at work"):
            evaluate([tiny_clip], tmp_path, options=QUICK)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert evaluate([tiny_clip], tmp_path, options=QUICK).measured == 1


def test_a_video_size_is_of_raw_files_alone(tiny_clip: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw.yuv"
    raw.write_bytes(bytes(range(192)) * (3 * 32 * 16 * 3 // 2 // 192))
    sized = replace(QUICK, raw=RawVideoFormat(32, 16, "yuv420p", Fraction(10)))
    evaluate([tiny_clip, raw], tmp_path / "out", options=sized)
    sizes = {p.clip: (p.width, p.height, p.frames) for p in load_points(tmp_path / "out")}
    assert sizes == {"raw": (32, 16, 3), "tiny": (64, 48, 6)}
    with pytest.raises(ValueError, match="--video-size is for raw"):
        single_sources([tiny_clip], raw=sized.raw)


def test_what_killed_calls_left_half_written_is_removed(tiny_clip: Path, tmp_path: Path) -> None:
    stream = tmp_path / "streams/tiny/x264-ultrafast-40"
    stale = [
        tmp_path / "reference/tiny-01234567/.reference.rgb.0a1b2c3d.part",
        stream / ".x1y2z3.part" / "frames",
        tmp_path / "points/tiny/.x264-ultrafast-30.json.ab_9xyz1",
    ]
    kept = [stream / "x264-ultrafast-40.264", stream / "a.inr.ckpt", tmp_path / "points/.gitignore"]
    for path in (*stale, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    evaluate([tiny_clip], tmp_path, options=QUICK)
    assert not any(path.exists() for path in stale)
    assert not (stream / ".x1y2z3.part").exists()
    assert all(path.exists() for path in kept)


def test_a_full_disk_is_the_points_failure(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    two = replace(QUICK, qualities={"x264": (30.0, 40.0)})
    with monkeypatch.context() as patch:
        patch.setattr("inrcodec.evaluation._run_job.save_point", fail)
        patch.setattr("inrcodec.evaluation._run_job.save_failure", fail)
        summary = evaluate([tiny_clip], tmp_path, options=two)
    assert summary.measured == 0
    assert ["No space left" in failure for failure in summary.failures] == [True, True]
    assert evaluate([tiny_clip], tmp_path, options=two).measured == 2


def test_a_failed_point_is_not_counted_as_there(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inrcodec.errors import Interrupted, VideoError

    outcomes = iter([VideoError("made"), KeyboardInterrupt()])

    def measure(*arguments: object, **named: object) -> None:
        raise next(outcomes)

    monkeypatch.setattr(_measure, "measure", measure)
    with pytest.raises(Interrupted, match="interrupted: 0 of 2 points"):
        evaluate([tiny_clip], tmp_path, options=replace(QUICK, qualities={"x264": (30.0, 40.0)}))

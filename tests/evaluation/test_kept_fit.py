"""Fits that are kept, gone on with, or made anew: by settings, record, and what lies there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inrcodec._provenance import code_version
from inrcodec._session import checkpoint_path
from inrcodec.errors import CheckpointError, EvaluationError, Interrupted
from inrcodec.evaluation import _measure
from inrcodec.evaluation._kept_fit import fit_once, stream_path
from inrcodec.evaluation._plan import EvalOptions, PointJob
from inrcodec.evaluation._points import EvalPoint, load_points
from inrcodec.evaluation._run import evaluate

OURS = EvalOptions(codecs=("hnerv",), bpps=(8.0,), metrics=("psnr_rgb",), epochs=1, device="cpu")
MINUTE = replace(OURS, epochs=None, time_seconds=60.0)
REPORT = {"device": "cpu, 2 threads"}


class Encoder:
    """Takes the place of our encode; says what it met, and stops where it is told to."""

    def __init__(self) -> None:
        self.met: list[str | None] = []  # the checkpoint that each call found
        self.interrupts = False
        self.damaged = False

    def __call__(self, job: PointJob) -> dict[str, Any]:
        stream = stream_path(job)
        checkpoint = checkpoint_path(stream)
        self.met.append(checkpoint.read_text() if checkpoint.exists() else None)
        if self.damaged and checkpoint.exists():
            raise CheckpointError("damaged")
        if self.interrupts:
            checkpoint.write_text(f"{job.settings['time_seconds']}")
            raise Interrupted("made")
        checkpoint.unlink(missing_ok=True)
        stream.write_text(f"{job.settings['time_seconds']} {job.settings['epochs']}")
        return REPORT


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch, make_point: Callable[..., EvalPoint]) -> Encoder:
    made = Encoder()

    def measure(job: PointJob, *, progress: bool = False) -> EvalPoint:
        job.stream_folder.mkdir(parents=True, exist_ok=True)
        fit_once(job, lambda: made(job))
        video = job.reference.rgb
        return replace(
            make_point("hnerv", 0.05, kind="inr", clip="tiny"),
            quality=job.quality,
            width=video.width,
            height=video.height,
            frames=video.num_frames,
            settings=job.settings,
            commit=code_version(),
        )

    monkeypatch.setattr(_measure, "measure", measure)
    return made


def stop(encoder: Encoder, clip: Path, out: Path, options: EvalOptions) -> None:
    encoder.interrupts = True
    with pytest.raises(Interrupted):
        evaluate([clip], out, options=options)
    encoder.interrupts = False


def test_a_fit_of_another_time_is_not_gone_on_with(
    encoder: Encoder, tiny_clip: Path, tmp_path: Path
) -> None:
    ten = replace(MINUTE, time_seconds=600.0)
    stop(encoder, tiny_clip, tmp_path, MINUTE)
    stop(encoder, tiny_clip, tmp_path, MINUTE)
    evaluate([tiny_clip], tmp_path, options=replace(ten, redo=True))
    assert encoder.met == [None, "60.0", None]
    assert not list(tmp_path.glob("streams/*/*/*.ckpt*"))


def test_an_interrupted_redo_leaves_nothing_of_the_former_fit(
    encoder: Encoder, tiny_clip: Path, tmp_path: Path
) -> None:
    evaluate([tiny_clip], tmp_path, options=OURS)
    stop(encoder, tiny_clip, tmp_path, replace(OURS, epochs=2, redo=True))
    names = {path.name for path in tmp_path.glob("streams/*/*/*")}
    assert names == {"hnerv-default-8.inr.ckpt", "hnerv-default-8.inr.ckpt.json"}
    assert not load_points(tmp_path)


def test_a_deleted_record_is_measured_anew(
    encoder: Encoder, tiny_clip: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        evaluate([tiny_clip], tmp_path, options=OURS)
    assert len(encoder.met) == 1
    next(tmp_path.glob("points/*/*.json")).unlink()
    evaluate([tiny_clip], tmp_path, options=OURS)
    assert len(encoder.met) == 2


def test_other_metrics_need_no_other_fit(encoder: Encoder, tiny_clip: Path, tmp_path: Path) -> None:
    evaluate([tiny_clip], tmp_path, options=OURS)
    both = replace(OURS, metrics=("psnr_rgb", "ssim"), redo=True)
    evaluate([tiny_clip], tmp_path, options=both)
    assert len(encoder.met) == 1
    assert load_points(tmp_path)[0].settings["metrics"] == ["psnr_rgb", "ssim"]


def test_another_ffmpeg_scores_the_same_fit_again(
    encoder: Encoder, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate([tiny_clip], tmp_path, options=OURS)
    monkeypatch.setattr("inrcodec.evaluation.codecs.ffmpeg_version", lambda: "9.9")
    with pytest.raises(EvaluationError, match="ffmpeg"):
        evaluate([tiny_clip], tmp_path, options=OURS)
    evaluate([tiny_clip], tmp_path, options=replace(OURS, redo=True))
    assert load_points(tmp_path)[0].settings["ffmpeg"] == "9.9"
    assert len(encoder.met) == 1


@pytest.mark.parametrize("harm", ["stream", "json"])
def test_a_fit_that_was_changed_is_made_anew(
    harm: str, encoder: Encoder, tiny_clip: Path, tmp_path: Path
) -> None:
    evaluate([tiny_clip], tmp_path, options=OURS)
    (kept,) = tmp_path.glob("streams/*/*/*.json")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "is_recorded": False}))
    next(tmp_path.glob("points/*/*.json")).unlink()
    (kept.with_suffix(".inr") if harm == "stream" else kept).write_text("[")
    evaluate([tiny_clip], tmp_path, options=OURS)
    assert len(encoder.met) == 2


def test_a_checkpoint_that_cannot_be_read_is_dropped_by_redo_only(
    encoder: Encoder, tiny_clip: Path, tmp_path: Path
) -> None:
    stop(encoder, tiny_clip, tmp_path, OURS)
    encoder.damaged = True
    assert "damaged" in evaluate([tiny_clip], tmp_path, options=OURS).failures[0]
    assert evaluate([tiny_clip], tmp_path, options=replace(OURS, redo=True)).measured == 1

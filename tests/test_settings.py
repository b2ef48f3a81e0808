"""Settings that cannot be met, or would do nothing, are told before a fit."""

from __future__ import annotations

import math
import shutil
import time
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inrcodec
from inrcodec._options import EncodeOptions
from inrcodec._session import Session
from inrcodec._source import SourceOptions, read_source
from inrcodec.errors import RateError, TimeError, VideoError
from inrcodec.fitting import resolve_device
from inrcodec.video import RawVideoFormat, VideoFrame, VideoReader, VideoWriter


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits_per_parameter": 10.5}, "bits_per_parameter is 10.5, must be <= 10"),
        ({"segment_frames": 7.5}, "segment_frames is 7.5, must be a whole number"),
        ({"time_seconds": math.inf, "epochs": None}, "time_seconds is inf, must be > 0 and finite"),
        (
            {"fit_settings": {"quantizer": "entropy", "rounding": "feedback"}},
            "rounding is 'feedback', which has no effect: it is nearest where steps are learned",
        ),
        (
            {"fit_settings": {"warmup": 0.0, "warmup_start": 0.1}},
            "warmup_start is 0.1, which has no effect: it needs a warmup",
        ),
        (
            {"model": "nerv", "fit_settings": {"rate_weight": 0.5}},
            "rate_weight is 0.5, which has no effect: it is of embeddings, which nerv has not",
        ),
        (
            {"model": "nerv", "fit_settings": {"embedding_coding": "plain"}},
            "embedding_coding is 'plain', which has no effect",
        ),
        (
            {"fit_settings": {"auxiliary_weight": 0.2}},
            "it is of auxiliary outputs, which hnervpp has not",
        ),
        (
            {"model": "nerv", "fresh": True, "model_settings": {"pe_base": 1.3}},
            "pe_base is given, which FreSh would choose",
        ),
    ],
)
def test_settings_without_effect_are_refused(
    settings: dict[str, Any], message: str, tiny_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", **{"epochs": 1, "bpp": 12.0, **settings})
    assert list(tmp_path.iterdir()) == []


def test_settings_with_effect_are_admitted(tiny_clip: Path, tmp_path: Path) -> None:
    """The same fields, of networks and fits that have what they are of."""
    for model, told in (
        ("hnervpp", {"rate_weight": 0.3, "embedding_coding": "plain", "warmup_start": 0.1}),
        ("ffnerv", {"auxiliary_weight": 0.2, "quantizer": "entropy", "rounding": "nearest"}),
    ):
        report = inrcodec.encode(
            tiny_clip, tmp_path / "a.inr", model=model, epochs=1, bpp=12.0, fit_settings=told
        )
        assert report.to_dict()["fit_settings"] == told


def test_a_psnr_beyond_a_perfect_copy_is_refused(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"psnr is 150\.0, must be <= 100, which a perfect copy"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, psnr=150)


def test_a_rate_must_be_finite(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bpp is inf, must be > 0 and finite"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, bpp=math.inf)


def test_a_ladder_needs_sizes_that_differ_in_bytes(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"are wished for, .* bytes: each must be another"):
        inrcodec.encode_ladder(tiny_clip, tmp_path / "a-%d.inr", bpps=[12.0, 12.00001], epochs=1)


def test_no_motion_is_sought_when_the_time_is_over(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sought(*args: object, **kwargs: object) -> None:
        raise AssertionError("motion is sought")

    monkeypatch.setattr("inrcodec._job.find_motion", sought)
    with pytest.raises(TimeError, match="too short"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", time_seconds=1e-3)


def test_there_is_one_cpu() -> None:
    with pytest.raises(ValueError, match="device is 'cpu:1', must be auto, cpu, cuda or cuda:N"):
        resolve_device("cpu:1")


def test_a_goal_that_the_first_picture_has_is_met(tiny_clip: Path, tmp_path: Path) -> None:
    """Before the first point of the curve: the fit is over as its quantised phase begins."""
    report = inrcodec.encode(
        tiny_clip,
        tmp_path / "a.inr",
        psnr=8,  # a flat grey has 10 dB here
        epochs=2,
        frames=(0, 3),
        fit_settings={"qat_fraction": 0.99},
    )
    assert report.psnr_db >= 8


def test_fewer_bytes_than_a_header_are_told_as_such(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match=r"100 bytes are too few: \d+ go into header and index"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", size_bytes=100, epochs=1)


def test_a_search_without_time_for_another_plan_ends(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing a network of hardly more values than the smallest one has can take seconds."""
    plans: list[int] = []

    def slow_plan(job: object, num_bytes: int, *, num_rounds: float = 1) -> None:
        plans.append(num_bytes)
        time.sleep(0.4)
        raise RateError("no network is so small")

    monkeypatch.setattr("inrcodec._rounds.Plan.of", slow_plan)
    with pytest.raises(TimeError, match="too short"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", psnr=30, time_seconds=1.3)
    assert 1 <= len(plans) <= 3


def test_the_source_is_not_overwritten(tiny_clip: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(tiny_clip, tmp_path / "a-2000.inr"))
    before = source.read_bytes()
    (tmp_path / "link.inr").symlink_to(source)
    for target in (source, tmp_path / "link.inr"):
        with pytest.raises(VideoError, match="is the source, and would be overwritten"):
            inrcodec.encode(source, target, epochs=1)
    with pytest.raises(VideoError, match=r"a-2000\.inr: is the source"):
        inrcodec.encode_ladder(source, tmp_path / "a-%d.inr", sizes_bytes=[2000, 2500], epochs=1)
    assert source.read_bytes() == before


def test_no_other_file_is_overwritten(tiny_clip: Path, tmp_path: Path) -> None:
    """A shell makes two videos of `*.mp4`: a source, and what would be the target."""
    other = Path(shutil.copy(tiny_clip, tmp_path / "other-2000.mp4"))
    with pytest.raises(VideoError, match=r"other-2000.mp4: is there already and is no .inr file"):
        inrcodec.encode(tiny_clip, other, epochs=1)
    with pytest.raises(VideoError, match=r"other-2000.mp4: is there already and is no .inr file"):
        inrcodec.encode_ladder(
            tiny_clip, tmp_path / "other-%d.mp4", sizes_bytes=[2000, 2500], epochs=1
        )
    assert other.read_bytes() == tiny_clip.read_bytes()


def test_a_folder_that_takes_no_file_is_told_before_the_source_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(VideoError, match=r"a\.inr: cannot be written: Read-only file system"):
        inrcodec.encode("no such clip.mp4", tmp_path / "a.inr", epochs=1)


def test_an_inr_file_is_no_source(tiny_inr: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"is an .inr file; make a video of it first"):
        inrcodec.encode(tiny_inr, tmp_path / "a.inr", epochs=1)


@pytest.mark.parametrize("fps", [30, 29.97, np.float32(30), np.int64(30), Fraction(30000, 1001)])
def test_rates_are_any_numbers(fps: Any, tiny_clip: Path, tmp_path: Path) -> None:
    """Of images, and of a raw file whose name states another."""
    wished = pytest.approx(float(fps))
    with VideoReader(tiny_clip, frames=(0, 1)) as reader:
        picture = next(iter(reader)).rgb
    images, raw = tmp_path / "%d.png", tmp_path / "card_64x48_25fps_420_8bit_YUV.yuv"
    for target in (images, raw):
        with VideoWriter(target, metadata=reader.metadata) as writer:
            writer.write(VideoFrame(picture, 0, 1))
    for source in (images, raw):
        options = SourceOptions(fps=EncodeOptions(fps=fps).fps)
        found = read_source(source, options, progress=lambda frames, _: frames)
        assert float(found.metadata.average_fps) == wished
    assert RawVideoFormat(64, 48, "yuv420p", fps).fps == wished
    with pytest.raises(ValueError, match="fps is inf, must be a finite number"):
        EncodeOptions(fps=math.inf)  # type: ignore[arg-type]


def test_rates_of_a_ladder_may_be_an_array(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bpps"):
        inrcodec.encode_ladder(tiny_clip, tmp_path / "a-%d.inr", bpps=np.array([8.0, -1.0]))


@pytest.mark.parametrize(("seconds", "is_told"), [(100.0, False), (104.0, False), (300.0, True)])
def test_a_resume_has_the_time_that_was_begun_with(
    seconds: float, is_told: bool, tmp_path: Path
) -> None:
    def session(time_seconds: float, *, resume: bool) -> Session:
        frames = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
        now = time.perf_counter()
        return Session(
            tmp_path / "a.inr", {}, frames, time_seconds=time_seconds, resume=resume, started=now
        )

    session(100.0, resume=False).save_fit("0", {})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert session(seconds, resume=True).time_seconds == 100.0
    assert [str(w.message).endswith("began with, 100 s in all") for w in told] == [True] * is_told


def test_a_folder_is_told_before_the_fit(tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.inr").mkdir()
    with pytest.raises(VideoError, match=r"a\.inr: is there already and is no regular file"):
        inrcodec.encode("no such clip.mp4", tmp_path / "a.inr", epochs=1)

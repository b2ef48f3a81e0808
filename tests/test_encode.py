"""What `encode` promises: rates met, quality as reported, files that repeat and resume."""

from __future__ import annotations

import math
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.io
from skimage.metrics import peak_signal_noise_ratio

import inrcodec
from inrcodec import _encode, _fit_task, _rounds, models
from inrcodec._info import describe
from inrcodec._options import EncodeOptions
from inrcodec.bitstream import write_atomically
from inrcodec.cli import main
from inrcodec.errors import (
    CheckpointError,
    Interrupted,
    ModelError,
    RateError,
    TimeError,
    VideoError,
)
from inrcodec.fitting import InterruptFlag
from inrcodec.video import VideoReader


@pytest.mark.slow
def test_a_minute_of_fitting_gives_a_good_picture(tmp_path: Path) -> None:
    report = inrcodec.encode(
        "bunny", tmp_path / "a.inr", resize=(160, 90), frames=(0, 8), epochs=500, bpp=1.5
    )
    assert report.psnr_db > 32


@pytest.mark.parametrize("model", models.names())
def test_every_network_encodes_and_decodes(model: str, tiny_clip: Path, tmp_path: Path) -> None:
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", model=model, epochs=20, bpp=12.0)
    assert report.model == model
    assert report.psnr_db > 15  # a flat grey has about 11 dB here
    with inrcodec.VideoDecoder(tmp_path / "a.inr") as decoder:
        assert decoder[:].shape == (6, 3, 48, 64)


def test_reported_psnr_is_that_of_the_decoded_images(tiny_clip: Path, tmp_path: Path) -> None:
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=10, bpp=8.0)
    inrcodec.decode(tmp_path / "a.inr", tmp_path / "%05d.png")
    with VideoReader(tiny_clip) as reader:
        source = [frame.rgb.permute(1, 2, 0).numpy() for frame in reader]
    images = [skimage.io.imread(path) for path in sorted(tmp_path.glob("*.png"))]
    psnrs = [peak_signal_noise_ratio(a, b) for a, b in zip(source, images, strict=True)]
    assert report.psnr_db == pytest.approx(np.mean(psnrs), abs=0.01)


@pytest.mark.parametrize("bpp", [6.0, 9.0, 20.0])
def test_bpp_is_met_within_2_percent_and_never_exceeded(
    bpp: float, tiny_clip: Path, tmp_path: Path
) -> None:
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, bpp=bpp)
    size = (tmp_path / "a.inr").stat().st_size
    assert report.num_bytes == size
    assert report.bpp == pytest.approx(8 * size / (6 * 48 * 64))
    assert 0.98 * bpp <= report.bpp <= bpp


def test_size_counts_the_file_on_disk_with_its_audio(clip_with_audio: Path, tmp_path: Path) -> None:
    report = inrcodec.encode(clip_with_audio, tmp_path / "a.inr", epochs=2, size_bytes=30_000)
    size = (tmp_path / "a.inr").stat().st_size
    assert 0.98 * 30_000 <= size <= 30_000
    assert report.audio_bytes > 3000
    assert report.bpp == pytest.approx(8 * (size - report.audio_bytes) / (12 * 48 * 64))


def test_size_below_the_audio_says_so(clip_with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match=r"audio alone takes \d+ of 3000 bytes") as caught:
        inrcodec.encode(clip_with_audio, tmp_path / "a.inr", epochs=1, size_bytes=3000)
    num_bytes = int(str(caught.value).split()[3])
    told = rf"too few.* \(bytes without those of the audio, {num_bytes} of the wished size"
    with pytest.raises(RateError, match=told):
        inrcodec.encode(clip_with_audio, tmp_path / "a.inr", epochs=1, size_bytes=num_bytes + 400)


def test_too_small_a_rate_says_so(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match="too few"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, bpp=0.01)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Search:
    """An encode to a PSNR, and what its fits took."""

    report: inrcodec.EncodeReport
    fit_seconds: list[float]
    waited: float


@pytest.fixture(scope="module")
def search(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Search:
    seconds: list[float] = []
    fit = _fit_task.fit_segment

    def noted(*told: Any, **named: Any) -> Any:
        result = fit(*told, **named)
        assert result is not None
        seconds.append(result.seconds)
        return result

    path = tmp_path_factory.mktemp("search") / "a.inr"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_fit_task, "fit_segment", noted)
        started = time.perf_counter()
        report = inrcodec.encode(tiny_clip, path, epochs=20, psnr=20.0)
    return Search(report, seconds, time.perf_counter() - started)


def test_psnr_gives_a_file_that_reaches_it(search: Search) -> None:
    assert 20.0 <= search.report.psnr_db < 21.0  # and hardly more


def test_psnr_out_of_reach_says_what_was_reached(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match=r"60.0 dB was not reached: \d+\.\d+ dB at \d+ bytes"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, psnr=60.0)
    assert list(tmp_path.iterdir()) == []  # no checkpoint, which would go on to the same end


def encode_to_its_goal(clip: Path, path: Path, *, resume: bool = False) -> inrcodec.EncodeReport:
    return inrcodec.encode(clip, path, epochs=60, psnr=18.0, resume=resume)


@pytest.fixture(scope="module")
def ended_early(
    tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[inrcodec.EncodeReport, bytes]:
    """A report of a fit that reaches its goal before its budget is used, and its file."""
    path = tmp_path_factory.mktemp("early") / "a.inr"
    return encode_to_its_goal(tiny_clip, path), path.read_bytes()


def test_psnr_ends_fits_that_have_reached_it(
    ended_early: tuple[inrcodec.EncodeReport, bytes],
) -> None:
    report, _ = ended_early
    assert report.psnr_db >= 18.0
    assert report.steps < 360
    assert report.to_dict()["stopped"] == "goal"
    assert "ended early: goal" in report.summary()


def test_a_grey_clip_does_not_use_its_whole_budget(grey_clip: Path, tmp_path: Path) -> None:
    report = inrcodec.encode(grey_clip, tmp_path / "a.inr", epochs=160, bpp=8.0)
    assert report.stopped == "plateau"
    assert report.steps <= 450  # of 480 pairs
    assert report.psnr_db > 45


def test_psnr_resumes_a_fit_that_ends_early(
    ended_early: tuple[inrcodec.EncodeReport, bytes],
    tiny_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    whole, its_bytes = ended_early
    assert whole.stopped == "goal"

    @contextmanager
    def interrupt_late() -> Iterator[InterruptFlag]:
        yield interrupt_after(whole.steps - 5)

    with monkeypatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", interrupt_late)
        with pytest.raises(Interrupted):
            encode_to_its_goal(tiny_clip, tmp_path / "cut.inr")
    assert encode_to_its_goal(tiny_clip, tmp_path / "cut.inr", resume=True).steps == whole.steps
    assert (tmp_path / "cut.inr").read_bytes() == its_bytes


def test_time_bounds_the_whole_encode(tiny_clip: Path, tmp_path: Path) -> None:
    start = time.perf_counter()
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", time_seconds=12, bpp=8.0)
    assert time.perf_counter() - start < 13
    assert report.seconds["fit"] > 4
    assert report.seconds["total"] == pytest.approx(
        sum(v for k, v in report.seconds.items() if k != "total"), abs=0.1
    )


def test_same_seed_same_file(tiny_clip: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        inrcodec.encode(tiny_clip, tmp_path / name, epochs=3, bpp=8.0, seed=seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


# Before and in the quantised phase; of two segments' 15 steps, and in the second one.
@pytest.mark.parametrize(
    ("steps", "segment_frames", "finished"), [(3, 600, 0), (25, 600, 0), (3, 3, 0), (13, 3, 1)]
)
def test_resume_gives_the_file_of_an_uninterrupted_encode(
    steps: int,
    segment_frames: int,
    finished: int,
    tiny_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    def encode(path: Path, *, resume: bool = False) -> None:
        inrcodec.encode(
            tiny_clip,
            path,
            epochs=5,
            bpp=16.0,
            fit_settings={"batch_size": 1, "qat_fraction": 0.25},
            segment_frames=segment_frames,
            resume=resume,
        )

    encode(tmp_path / "whole.inr")

    flags = [InterruptFlag()] * finished + [interrupt_after(steps)]

    @contextmanager
    def interrupt_soon() -> Iterator[InterruptFlag]:
        yield flags.pop(0)

    with monkeypatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", interrupt_soon)
        with pytest.raises(Interrupted, match="--resume"):
            encode(tmp_path / "cut.inr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.inr.ckpt", "whole.inr"]
    encode(tmp_path / "cut.inr", resume=True)
    assert (tmp_path / "cut.inr").read_bytes() == (tmp_path / "whole.inr").read_bytes()
    assert not (tmp_path / "cut.inr.ckpt").exists()


def test_resume_refuses_the_checkpoint_of_another_encode(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def interrupt_now() -> Iterator[InterruptFlag]:
        yield InterruptFlag(requested=True)

    with monkeypatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", interrupt_now)
        with pytest.raises(Interrupted):
            inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, bpp=8.0)
    with pytest.raises(CheckpointError, match=r"go on with it \(--resume\), or delete it"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, bpp=8.0)
    with pytest.raises(CheckpointError, match="seed differ"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, bpp=8.0, seed=5, resume=True)
    with pytest.raises(CheckpointError, match="frames_crc32 differ"):
        inrcodec.encode(
            tiny_clip, tmp_path / "a.inr", epochs=2, bpp=8.0, frames=(0, 5), resume=True
        )


def test_frames_larger_than_a_file_has_are_refused_before_they_are_read(
    tiny_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(VideoError, match=r"frames of 16384x8192; a file has sides of up to 16384"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, resize=(16384, 8192))


def test_resume_refuses_a_damaged_checkpoint(tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.inr.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match="damaged"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, bpp=8.0, resume=True)


def _start_encode(clip: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "inrcodec", "encode", str(clip), str(output)]
    command += ["--epochs", "30000", "--bpp", "8", *options]
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        cwd=output.parent,
        # A shell's background job ignores it, and so do the tests there.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def _wait_for_fit(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    text = ""
    while "fit:" not in text or " dB" not in text:
        text += (got := process.stderr.read(1))
        assert got, text


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(tiny_clip: Path, tmp_path: Path) -> None:
    process = _start_encode(tiny_clip, tmp_path / "a.inr")
    _wait_for_fit(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in errors.splitlines()[-1]
    assert [p.name for p in tmp_path.iterdir()] == ["a.inr.ckpt"]


def test_kill_9_leaves_no_half_file(tiny_clip: Path, tmp_path: Path) -> None:
    process = _start_encode(tiny_clip, tmp_path / "a.inr")
    _wait_for_fit(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (tmp_path / "a.inr").exists()
    inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, bpp=8.0, resume=False)
    with inrcodec.VideoDecoder(tmp_path / "a.inr") as decoder:
        assert len(decoder) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bpp": 1.0, "psnr": 30.0}, "bpp and psnr are given"),
        ({"epochs": 1, "time_seconds": 1.0}, "epochs and time_seconds are given"),
        ({"bpp": -1.0}, "bpp is -1.0, must be > 0"),
        ({"epochs": 0}, "epochs is 0, must be > 0"),
        ({"preset": "turbo"}, "preset is 'turbo', must be one of fast"),
        ({"recipe": "none"}, "recipe is 'none', must be one of default"),
        ({"device": "abacus"}, "device is 'abacus'"),
        ({"segment_frames": 0}, "segment_frames is 0"),
    ],
)
def test_wrong_arguments_are_value_errors(
    arguments: dict[str, object], message: str, tiny_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", **arguments)  # type: ignore[arg-type]


def test_unknown_network_is_named(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="did you mean 'hnerv'"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", model="hnrv")


def test_missing_output_folder_is_told_before_the_fit(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="does not exist"):
        inrcodec.encode(tiny_clip, tmp_path / "no" / "a.inr", epochs=1)


def test_ms_ssim_recipe_wants_frames_large_enough(tiny_clip: Path, tmp_path: Path) -> None:
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, bpp=8.0, recipe="ms-ssim")
    assert report.recipe == "ms-ssim"
    with pytest.raises(ValueError, match="frames are 40x30, a loss with MS-SSIM needs sides >= 33"):
        inrcodec.encode(
            tiny_clip, tmp_path / "b.inr", epochs=1, bpp=20.0, recipe="ms-ssim", resize=(40, 30)
        )
    assert not (tmp_path / "b.inr").exists()


def test_paper_recipe_brings_its_batches_and_epochs(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"model": "hnerv", "recipe": "paper", "bpp": 8.0}
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=2, **options)  # type: ignore[arg-type]
    assert (report.recipe, report.steps) == ("paper", 2 * 6 // 2)
    with inrcodec.VideoDecoder(tmp_path / "a.inr") as decoder:
        assert decoder[:].shape == (6, 3, 48, 64)

    budgets: list[int | None] = []
    monkeypatch.setattr(
        _encode, "encode_round", lambda job, *_, **__: budgets.append(job.fit.epochs)
    )
    for epochs, recipe in ((None, "paper"), (7, "paper"), (None, None), (None, "default")):
        with pytest.raises(AttributeError):  # of what the round did not return
            inrcodec.encode(
                tiny_clip, tmp_path / "b.inr", model="hnerv", epochs=epochs, recipe=recipe
            )
    assert budgets == [300, 7, 150, 150]


def test_settings_override_the_recipe_and_the_sizing_rule(tiny_clip: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    report = inrcodec.encode(
        tiny_clip,
        tmp_path / "a.inr",
        epochs=4,
        bpp=12.0,
        fit_settings={"batch_size": 3},
        model_settings={"plain_stages": 1},
        bits_per_parameter=8.0,
        on_progress=lambda progress: seen.append(progress.seconds),
    )
    assert report.fit_settings == {"batch_size": 3}
    assert report.steps == 4 * 2  # six frames
    assert report.bits_per_parameter == pytest.approx(8.0, rel=0.05)
    assert describe(tmp_path / "a.inr")["segments"][0]["hyper_parameters"]["plain_stages"] == 1
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fit_settings": {"lr": 1e-3}}, "fit setting is 'lr', must be one of .*learning_rate"),
        ({"fit_settings": {"epochs": 3}}, "fit setting is 'epochs'"),
        ({"fit_settings": {"learning_rate": "high"}}, "learning_rate is 'high', must be of type"),
        ({"model_settings": {"heads": 3}}, "cannot override 'heads'"),
        ({"model": "nervpp-repo", "model_settings": {"block": "plain"}}, "fixes it to"),
        ({"bits_per_parameter": 0.0}, "bits_per_parameter is 0.0, must be > 0"),
    ],
)
def test_wrong_settings_are_told(
    settings: dict[str, Any], message: str, tiny_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, ModelError), match=message):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, bpp=12.0, **settings)


def test_fresh_travels_in_the_file(tiny_clip: Path, tmp_path: Path) -> None:
    for name, fresh in (("a", True), ("b", True), ("c", False)):
        report = inrcodec.encode(
            tiny_clip, tmp_path / name, model="nerv", epochs=3, bpp=12.0, fresh=fresh
        )
        assert report.to_dict()["fresh"] is fresh
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    fields = [describe(tmp_path / n)["segments"][0]["hyper_parameters"] for n in ("a", "c")]
    assert fields[0].pop("pe_base") < 1.25
    assert "pe_base" not in fields[1]
    with inrcodec.VideoDecoder(tmp_path / "a") as decoder:
        assert decoder[:].shape == (6, 3, 48, 64)


def test_fresh_chooses_the_same_on_resume(
    tiny_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    def encode(path: Path, *, resume: bool = False, fresh: bool = True) -> None:
        inrcodec.encode(
            tiny_clip, path, model="nerv", epochs=3, bpp=12.0, fresh=fresh, resume=resume
        )

    @contextmanager
    def interrupt_soon() -> Iterator[InterruptFlag]:
        yield interrupt_after(3)

    encode(tmp_path / "whole.inr")
    with monkeypatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", interrupt_soon)
        with pytest.raises(Interrupted):
            encode(tmp_path / "cut.inr")
    with pytest.raises(CheckpointError, match="fresh differ"):
        encode(tmp_path / "cut.inr", resume=True, fresh=False)
    encode(tmp_path / "cut.inr", resume=True)
    assert (tmp_path / "cut.inr").read_bytes() == (tmp_path / "whole.inr").read_bytes()


def test_fresh_is_refused_before_the_source_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="positional encoding's frequencies; hnerv has none"):
        inrcodec.encode("no-such.mp4", tmp_path / "a.inr", model="hnerv", fresh=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "nonsense"], "must be one of default, ms-ssim, muon, soap, paper"),
        (["--model", "hnerv", "--fresh"], "hnerv has none"),
    ],
)
def test_wrong_recipes_are_one_line(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", "no-such.mp4", str(tmp_path / "a.inr"), *options]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "size", "aspect", "num_frames", "options"),
    [
        ("carphone", (176, 144), "128/117", 9, {"bpp": 0.8, "frames": (0, 9)}),
        ("bikes", (80, 34), "1", 250, {"bpp": 0.3, "resize": (80, 34)}),
    ],
)
def test_clips_of_other_shapes_and_lengths(
    name: str,
    size: tuple[int, int],
    aspect: str,
    num_frames: int,
    options: dict[str, object],
    tmp_path: Path,
) -> None:
    path = tmp_path / f"{name}.inr"
    report = inrcodec.encode(name, path, epochs=1, **options)  # type: ignore[arg-type]
    assert (report.width, report.height, report.num_frames) == (*size, num_frames)
    inrcodec.decode(path, tmp_path / "out.mp4")
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert (reader.metadata.width, reader.metadata.height) == size
        assert str(reader.metadata.sample_aspect_ratio) == aspect
        assert sum(1 for _ in reader) == num_frames


def test_no_time_for_a_step_is_refused(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(TimeError, match=r"s too short"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", time_seconds=0.5, bpp=8.0)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_without_a_step_is_refused(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the time ends between the first look at the clock and the first step."""
    no_step = SimpleNamespace(steps=0, stopped="budget")
    monkeypatch.setattr(_fit_task, "fit_segment", lambda *told, **named: no_step)
    with pytest.raises(TimeError, match=r"too short.* before a step"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", time_seconds=60.0, bpp=8.0)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_round_keeps_the_end_it_had(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search's first round that got all the time is not cut to a quarter when it goes on."""
    ends: list[float] = []

    def interrupted(job: Any, size: int, **named: Any) -> None:
        ends.append(named["seconds"])
        if named["seconds"] < 60.0:
            raise TimeError("a quarter does not suffice")
        named["session"].save_fit(f"{named['name']}.0", {"steps": 1})
        raise Interrupted("here")

    monkeypatch.setattr(_encode, "encode_round", interrupted)
    told: dict[str, Any] = {"psnr": 40.0, "time_seconds": 60.0}
    for resume in (False, True):
        with pytest.raises(Interrupted):
            inrcodec.encode(tiny_clip, tmp_path / "a.inr", resume=resume, **told)
    assert 15 < ends[0] < 30  # a quarter of what reading leaves
    assert ends[1:] == [60.0, 60.0]


def test_a_search_goes_on_after_its_time_where_its_first_size_held_no_network(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there is time is asked of the rounds to come, not of the one that was begun."""
    sizes: list[int] = []

    def interrupted(job: Any, size: int, **named: Any) -> None:
        sizes.append(size)
        named["session"].save_fit(f"{named['name']}.0", {"steps": 1})
        raise Interrupted("here")

    monkeypatch.setattr(_encode, "encode_round", interrupted)
    told: dict[str, Any] = {"psnr": 40.0, "time_seconds": 60.0}
    with pytest.raises(Interrupted):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", **told)
    monkeypatch.setattr("inrcodec._session.Session.seconds", lambda session: 61.0)
    with pytest.raises(Interrupted):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", resume=True, **told)
    assert len(sizes) == 2
    assert sizes[0] == sizes[1] > 0.05 * 6 * 64 * 48 / 8  # the preset's rate, of all frames


@pytest.mark.parametrize("name", ["bpp", "size_bytes", "psnr"])
def test_no_infinite_wish(name: str, tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{name} is inf, must be > 0 and finite"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", **{name: math.inf})


def test_a_fit_of_another_network_is_not_gone_on_with(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*told: Any, **named: Any) -> None:
        named["save"]({"steps": 1})

    monkeypatch.setattr(_fit_task, "fit_segment", interrupted)
    told: dict[str, Any] = {"bpp": 8.0, "time_seconds": 60.0}
    with pytest.raises(Interrupted):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", **told)
    monkeypatch.setattr("inrcodec._sizing._FEWEST_VISITS", math.inf)  # another shape
    with pytest.raises(CheckpointError, match="of another network"):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", resume=True, **told)


def test_too_few_bytes_for_the_header_are_told_before_the_fit(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fit_task, "fit_segment", lambda *told, **named: pytest.fail("fitted"))
    with pytest.raises(RateError):
        inrcodec.encode(tiny_clip, tmp_path / "a.inr", size_bytes=220, epochs=1)


@pytest.mark.parametrize("size_bytes", [1000, 1500])
def test_a_network_that_cannot_be_so_small_is_a_matter_of_the_rate(
    size_bytes: int, tiny_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(RateError, match="smallest possible size"):
        inrcodec.encode(
            tiny_clip, tmp_path / "a.inr", model="enerv", size_bytes=size_bytes, epochs=1
        )


def test_numbers_of_numpy_are_numbers(tiny_clip: Path, tmp_path: Path) -> None:
    settings = {"optimizer": "adamw", "weight_decay": np.float64(0.2), "warmup": np.float64(0.1)}
    told: dict[str, Any] = {
        "epochs": np.int64(20),
        "bpp": np.float32(8.0),
        "segment_frames": np.int64(4),
        "bits_per_parameter": np.int64(5),
        "seed": np.int64(3),
        "fit_settings": settings,
        "model_settings": {"strides": [np.int64(2), np.int64(2)]},
    }
    stopped = InterruptFlag()
    stopped.requested = True
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", lambda: nullcontext(stopped))
        with pytest.raises(Interrupted):
            inrcodec.encode(tiny_clip, tmp_path / "a.inr", **told)
    report = inrcodec.encode(tiny_clip, tmp_path / "a.inr", resume=True, **told)
    assert report.bpp <= 8.0
    assert report.model_settings == {"strides": (2, 2)}
    whole = EncodeOptions(time_seconds=np.float64(9), segment_frames=4.0)  # type: ignore[arg-type]
    assert (type(whole.time_seconds), type(whole.segment_frames)) == (float, int)


def test_seconds_of_all_fits_are_seconds_of_fit(search: Search) -> None:
    report = search.report
    assert len(search.fit_seconds) > 1
    assert report.seconds["fit"] >= sum(search.fit_seconds)
    assert report.seconds["total"] == pytest.approx(search.waited, abs=0.5)


def test_a_resume_whose_imports_took_longer_has_the_same_network(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def interrupted(*given: Any, **named: Any) -> None:
        told.append({**named, "planned": given[2].fit.seconds})
        named["save"]({"steps": 1})

    monkeypatch.setattr(_fit_task, "fit_segment", interrupted)
    # Were it sized by the seconds of this call, it would have another shape.
    monkeypatch.setattr("inrcodec._sizing._expected_visits", lambda job, _: job.fit.seconds)
    monkeypatch.setattr("inrcodec._sizing._FEWEST_VISITS", 57)
    for seconds, resume in ((60.0, False), (55.0, True), (600.0, True)):
        warns = pytest.warns(UserWarning, match="60 s in all") if seconds > 60 else nullcontext()
        with warns, pytest.raises(Interrupted):
            inrcodec.encode(
                tiny_clip, tmp_path / "a.inr", bpp=8.0, time_seconds=seconds, resume=resume
            )
    first, second, third = told
    assert first["seconds_left"] is None
    assert second["state"]["steps"] == 1
    assert second["planned"] == first["planned"]
    assert second["seconds_left"] < 55
    assert 55 < third["seconds_left"] < 60


@pytest.mark.parametrize("rate", ["30000/1001", "29.97002997"])
def test_images_have_the_rate_that_is_told(rate: str, tiny_clip: Path, tmp_path: Path) -> None:
    inrcodec.encode(tiny_clip, tmp_path / "a.inr", epochs=1, bpp=8.0)
    inrcodec.decode(tmp_path / "a.inr", tmp_path / "frames%d.png")
    told = ["encode", str(tmp_path / "frames%d.png"), str(tmp_path / "b.inr"), "-q"]
    assert main([*told, "--fps", rate, "--epochs", "1", "--bpp", "8"]) == 0
    with inrcodec.VideoDecoder(tmp_path / "b.inr") as decoder:
        assert decoder.header.average_fps == Fraction(30000, 1001)


def test_what_is_no_file_is_not_replaced_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for output in (pipe, tmp_path):
        with pytest.raises(VideoError, match="is there already and is no regular file"):
            write_atomically(output, b"new")
    for output in (pipe, tmp_path, Path("/dev/null")):
        assert main(["encode", "no-such.mp4", str(output)]) == 1  # before the source is read
        assert f"{output}: is there already" in capsys.readouterr().err
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_keeps_pointing_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "a.inr", tmp_path / "link.inr"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path / "folder") == ["a.inr"]


def test_writing_leaves_the_umask_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("is of all threads"))
    write_atomically(tmp_path / "a.inr", b"new")
    monkeypatch.undo()
    assert stat.S_IMODE((tmp_path / "a.inr").stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

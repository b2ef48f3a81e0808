"""What `encode_ladder` promises: every size met, by one fit, which can be interrupted."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import inrcodec
from inrcodec import _fit_task, _rounds
from inrcodec._info import describe
from inrcodec.cli import main
from inrcodec.errors import Interrupted, RateError
from inrcodec.fitting import InterruptFlag, _loop
from inrcodec.video import VideoReader

SIZES = [9000, 16_000, 12_000]
EPOCHS = 40
STEPS = EPOCHS * 3  # pairs of six frames
FEW = {"epochs": 12}  # for files that are compared, whatever their quality
FEW_STEPS = 36


def ladder(source: Path, folder: Path, **changes: Any) -> list[inrcodec.EncodeReport]:
    folder.mkdir(exist_ok=True)
    told = {"sizes_bytes": SIZES, "epochs": EPOCHS, "device": "cpu", **changes}
    return inrcodec.encode_ladder(source, folder / "a-%d.inr", **told)


@pytest.fixture
def counted_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number a step that any fit makes."""
    return count_steps(monkeypatch)


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    steps: list[int] = []
    real = _loop._Fit.step

    def step(self: Any) -> bool:
        steps.append(self.steps)
        return real(self)

    monkeypatch.setattr(_loop._Fit, "step", step)
    return steps


@dataclass(frozen=True)
class Whole:
    """A ladder that nothing interrupted."""

    folder: Path
    reports: list[inrcodec.EncodeReport]
    num_steps: int


@pytest.fixture(scope="module")
def whole(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("ladder") / "whole"
    with pytest.MonkeyPatch.context() as patched:
        steps = count_steps(patched)
        return Whole(folder, ladder(tiny_clip, folder), len(steps))


@pytest.fixture(scope="module")
def few(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ladder of few epochs."""
    folder = tmp_path_factory.mktemp("ladder") / "few"
    ladder(tiny_clip, folder, **FEW)
    return folder


def test_every_size_is_met_and_more_bytes_are_more_decibels(whole: Whole) -> None:
    reports = whole.reports
    assert sorted(p.name for p in whole.folder.iterdir()) == [
        "a-12000.inr",
        "a-16000.inr",
        "a-9000.inr",
    ]
    for size, report in zip(SIZES, reports, strict=True):
        assert Path(report.path).stat().st_size == report.num_bytes
        assert 0.98 * size <= report.num_bytes <= size
        assert report.steps == STEPS
        stages = ("read", "fit", "code", "verify")
        assert report.seconds["total"] == pytest.approx(sum(report.seconds[s] for s in stages))
    small, large, middle = reports
    assert small.psnr_db < middle.psnr_db
    # In a fit of so few steps what rounding the larger ones costs is hardly more than chance.
    assert large.psnr_db > max(small.psnr_db, middle.psnr_db) - 0.2
    shapes = [describe(Path(r.path))["segments"][0]["hyper_parameters"] for r in reports]
    assert shapes[0] == shapes[1] == shapes[2]
    assert all(report.fit_settings == {"qat_fraction": 0.25} for report in reports)
    # What comes before the quantised phase was done once.
    assert whole.num_steps == pytest.approx(STEPS * (0.75 + 3 * 0.25), abs=3)


def test_a_file_is_as_good_as_its_report_says(tiny_clip: Path, tmp_path: Path) -> None:
    report = ladder(tiny_clip, tmp_path, sizes_bytes=[9000], **FEW)[0]
    with VideoReader(tiny_clip) as reader, inrcodec.VideoDecoder(report.path) as decoder:
        source = torch.stack([frame.rgb for frame in reader])
        assert decoder[:].shape == source.shape == (6, 3, 48, 64)
        errors = (decoder[:].double() - source.double()).square().mean((1, 2, 3))
    psnr = (20 * math.log10(255) - 10 * errors.log10()).mean()
    assert report.psnr_db == pytest.approx(float(psnr), abs=1e-4)
    # A ladder of one size is an encode with as long a phase and as many bits a weight.
    alone = inrcodec.encode(
        tiny_clip,
        tmp_path / "b.inr",
        size_bytes=9000,
        epochs=FEW["epochs"],
        fit_settings={"qat_fraction": 0.25},
        bits_per_parameter=5.0,
        device="cpu",
    )
    assert Path(report.path).read_bytes() == (tmp_path / "b.inr").read_bytes()
    assert report.psnr_db == alone.psnr_db


@pytest.mark.parametrize("cut_at", [9, FEW_STEPS - 4, FEW_STEPS + 3, FEW_STEPS + 12])
def test_an_interrupted_ladder_goes_on(
    cut_at: int,
    few: Path,
    tiny_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted_steps: list[int],
    interrupt_after: Callable[[int], InterruptFlag],
) -> None:
    """In the shared part, in the first size's phase, and in those of the others."""
    flag = interrupt_after(cut_at)

    @contextmanager
    def interrupt() -> Iterator[InterruptFlag]:
        yield flag

    with monkeypatch.context() as patched:
        patched.setattr(_rounds, "hold_interrupts", interrupt)
        with pytest.raises(Interrupted, match="--resume"):
            ladder(tiny_clip, tmp_path / "cut", **FEW)
    assert [p.name for p in (tmp_path / "cut").iterdir()] == ["a-%d.inr.ckpt"]
    ladder(tiny_clip, tmp_path / "cut", resume=True, **FEW)
    # Not a step is made twice.
    assert len(counted_steps) == pytest.approx(FEW_STEPS * (0.75 + 3 * 0.25), abs=3)
    for path in few.iterdir():
        assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes()
    assert not list((tmp_path / "cut").glob("*.ckpt"))


def test_a_file_does_not_depend_on_the_others(tiny_clip: Path, tmp_path: Path) -> None:
    """But for the network, which suits their middle, here the same."""
    ladder(tiny_clip, tmp_path / "three", sizes_bytes=[12_000, 8000, 18_000], **FEW)
    ladder(tiny_clip, tmp_path / "two", sizes_bytes=[18_000, 8000], **FEW)
    for size in (8000, 18_000):
        name = f"a-{size}.inr"
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


def test_fits_too_short_for_a_phase_are_made_once(
    tiny_clip: Path, tmp_path: Path, counted_steps: list[int]
) -> None:
    reports = ladder(tiny_clip, tmp_path, epochs=1)
    assert len(counted_steps) == 3
    for size, report in zip(SIZES, reports, strict=True):
        assert 0.98 * size <= report.num_bytes <= size


def test_segments_share_the_bytes(tiny_clip: Path, tmp_path: Path) -> None:
    reports = ladder(
        tiny_clip, tmp_path, bpps=[16.0, 9.0], sizes_bytes=None, segment_frames=3, epochs=4
    )
    for bpp, report in zip((16.0, 9.0), reports, strict=True):
        assert report.num_segments == 2
        assert 0.98 * bpp <= report.bpp <= bpp
        assert Path(report.path).name == f"a-{int(bpp * 6 * 48 * 64 / 8)}.inr"


def test_sizes_count_the_audio(clip_with_audio: Path, tmp_path: Path) -> None:
    reports = ladder(clip_with_audio, tmp_path, sizes_bytes=[30_000, 20_000], epochs=2)
    assert [Path(r.path).name for r in reports] == ["a-30000.inr", "a-20000.inr"]
    for size, report in zip((30_000, 20_000), reports, strict=True):
        assert 0.98 * size <= Path(report.path).stat().st_size <= size
        assert report.audio_bytes > 3000


def test_time_bounds_the_whole_ladder(tiny_clip: Path, tmp_path: Path) -> None:
    started = time.perf_counter()
    reports = ladder(tiny_clip, tmp_path, epochs=None, time_seconds=16)
    assert time.perf_counter() - started < 16
    assert reports[0].steps > 10


def test_a_resume_keeps_to_less_time(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def interrupted(*given: Any, **named: Any) -> None:
        told.append({**named, "planned": given[2].fit.seconds})
        named["save"]({"steps": 1, "seconds": given[2].fit.seconds / 2})

    monkeypatch.setattr(_fit_task, "fit_segment", interrupted)
    for seconds, resume in ((600.0, False), (600.0, True), (60.0, True)):
        with pytest.raises(Interrupted):
            ladder(tiny_clip, tmp_path, epochs=None, time_seconds=seconds, resume=resume)
    first, same, less = told
    assert first["seconds_left"] is None
    assert same["planned"] == less["planned"] == first["planned"] > 300
    # This fit has half of its budget yet, the two that come after it a quarter each.
    assert first["planned"] / 2 < same["seconds_left"] < 300
    assert 20 < less["seconds_left"] < 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes_bytes": None}, "one of sizes_bytes and bpps must be given"),
        ({"sizes_bytes": []}, "one of sizes_bytes and bpps must be given"),
        ({"bpps": [1.0]}, "one of sizes_bytes and bpps must be given"),
        ({"sizes_bytes": [9000, -1]}, "sizes_bytes is -1, must be > 0"),
        ({"sizes_bytes": None, "bpps": [0.0]}, r"bpps is 0.0, must be > 0"),
        ({"sizes_bytes": [9000, 9000]}, "each must be another"),
        ({"fit_settings": {"qat_fraction": 0.0}}, "qat_fraction is 0, must be > 0 for a ladder"),
        ({"epochs": 0}, "epochs is 0, must be > 0"),
        ({"time_seconds": 1.0}, "epochs and time_seconds are given"),
    ],
)
def test_wrong_arguments(
    changes: dict[str, Any], message: str, tiny_clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        ladder(tiny_clip, tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_name_without_place_for_the_bytes(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its name must have %d for the bytes"):
        inrcodec.encode_ladder(tiny_clip, tmp_path / "a.inr", sizes_bytes=[9000])


@pytest.mark.parametrize("sizes", [[4000, 20_000], [9000, 9500, 40_000]])
def test_sizes_too_far_apart_say_so(sizes: list[int], tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match=r"\d+ bytes are too far from the middle of all, \d+, for"):
        ladder(tiny_clip, tmp_path, sizes_bytes=sizes)


def test_too_small_a_size_says_so(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match="too few"):
        ladder(tiny_clip, tmp_path, sizes_bytes=[100, 300], epochs=1)


def test_command(tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "c-%d.inr"
    call = ["ladder", str(tiny_clip), str(output), "--epochs", "2", "-q", "--device", "cpu"]
    assert main([*call, "--sizes", "9k,16k"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        str(tmp_path / f"c-{size}.inr") for size in (9000, 16_000)
    ]
    assert main([*call, "--bpps", "8,12", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)
    assert [report["path"] for report in reports] == [
        str(tmp_path / f"c-{int(bpp * 2304)}.inr") for bpp in (8, 12)
    ]
    assert main(call) == 2
    assert "one of the arguments --sizes --bpps is required" in capsys.readouterr().err
    assert main([*call, "--sizes", "9k,x"]) == 2
    assert "'x' is no size such as 20000, 500k or 1.5M" in capsys.readouterr().err


def test_no_rung_of_no_byte(tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.raises(RateError, match="0 bytes are too few"):
        ladder(tiny_clip, tmp_path, sizes_bytes=None, bpps=[1e-6])

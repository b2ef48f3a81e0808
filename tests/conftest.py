"""Clips and files that many tests share."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import imageio_ffmpeg
import numpy as np
import pytest
import skimage.transform
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, which torch.optim does

import inrcodec
from inrcodec.fitting import InterruptFlag


def write_y4m(path: Path, frames: np.ndarray, *, fps: str = "25:1") -> Path:
    """Write `(N, H, W)` uint8 luma as a grey-chroma 4:2:0 y4m."""
    num_frames, height, width = frames.shape
    chroma = bytes([128]) * (2 * ((height + 1) // 2) * ((width + 1) // 2))
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps} Ip A1:1 C420mpeg2\n".encode())
        for i in range(num_frames):
            file.write(b"FRAME\n" + frames[i].tobytes() + chroma)
    return path


def moving_pattern(num_frames: int, height: int, width: int) -> np.ndarray:
    """A smooth pattern that moves: `(N, H, W)` uint8."""
    y, x = np.mgrid[:height, :width]
    frames = [
        128 + 60 * np.sin((x + 3 * i) / 9) + 50 * np.cos((y - 2 * i) / 7) for i in range(num_frames)
    ]
    return np.clip(np.stack(frames), 16, 235).astype(np.uint8)


class FlagAfter(InterruptFlag):
    """As if Ctrl-C came after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @property  # type: ignore[override]
    def requested(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="session")
def interrupt_after() -> type[FlagAfter]:
    """A flag that is set after so many steps."""
    return FlagAfter


@pytest.fixture(scope="module")
def benchmark_script() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of benchmarks/ by its name."""
    pytest.importorskip("matplotlib")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "benchmarks"))
        yield importlib.import_module


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x48, 6 frames, no audio."""
    path = tmp_path_factory.mktemp("clips") / "tiny.y4m"
    return write_y4m(path, moving_pattern(6, 48, 64))


@pytest.fixture(scope="session")
def panning_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96x64, 10 frames of a texture that moves a pixel a frame, left and up."""
    noise = np.random.default_rng(0).integers(16, 236, (20, 28))
    texture = skimage.transform.resize(noise.astype(np.float64), (80, 112), order=3)
    texture = texture.clip(16, 235).round().astype(np.uint8)
    frames = np.stack([texture[i : i + 64, i : i + 96] for i in range(10)])
    return write_y4m(tmp_path_factory.mktemp("clips") / "pan.y4m", frames)


@pytest.fixture(scope="session")
def grey_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x48, 6 frames, all of one grey."""
    path = tmp_path_factory.mktemp("clips") / "grey.y4m"
    return write_y4m(path, np.full((6, 48, 64), 120, np.uint8))


@pytest.fixture(scope="session")
def clip_with_audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64x48, 12 frames at 12 frames/s, one second of AAC."""
    path = tmp_path_factory.mktemp("clips") / "audio.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=12:duration=1"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"]
    command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k"]
    subprocess.run([*command, str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def tiny_inr(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny clip encoded by the default network."""
    path = tmp_path_factory.mktemp("inr") / "tiny.inr"
    inrcodec.encode(tiny_clip, path, epochs=8, bpp=8.0, device="cpu")
    return path


@pytest.fixture(scope="session")
def segmented_inr(clip_with_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip with audio in three segments."""
    path = tmp_path_factory.mktemp("inr") / "segmented.inr"
    inrcodec.encode(clip_with_audio, path, epochs=3, bpp=8.0, segment_frames=5, device="cpu")
    return path

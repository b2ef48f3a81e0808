"""What FFmpeg's filters give: VMAF and XPSNR; and FFmpeg's own PSNR and SSIM against ours."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import convolve, gaussian_filter

from inrcodec.errors import EvaluationError
from inrcodec.evaluation import RawFrames, Reference, score
from inrcodec.evaluation._filters import vmaf, xpsnr
from inrcodec.metrics import MAX_PSNR_DB

Planes = list[npt.NDArray[np.uint8]]  # Y (N, H, W), U and V (N, H/2, W/2)
FPS = Fraction(25)


def moving_planes(num_frames: int, height: int, width: int) -> Planes:
    """Fine texture that moves on the left, flat grey on the right; chroma of its own."""
    rng = np.random.default_rng(4)
    texture = gaussian_filter(rng.normal(0, 1, (height, width + 4 * num_frames)), 1.2)
    texture = 110 + 70 * texture / np.abs(texture).max()
    y = np.stack([texture[:, 3 * i : 3 * i + width] for i in range(num_frames)])
    y[:, :, width // 2 :] = 110
    chroma = [128 + 20 * np.sin(np.arange(width // 2) / k + 1) for k in (5, 9)]
    shape = (num_frames, height // 2, width // 2)
    return [y.astype(np.uint8), *(np.broadcast_to(c, shape).astype(np.uint8) for c in chroma)]


def with_noise(planes: Planes, amount: int, *, columns: slice = slice(None)) -> Planes:
    rng = np.random.default_rng(5)
    noisy = []
    for plane in planes:
        noise = rng.integers(-amount, amount + 1, plane.shape)
        kept = np.ones(plane.shape, bool)
        kept[:, :, columns] = False
        noisy.append(np.where(kept, plane, (plane + noise).clip(0, 255)).astype(np.uint8))
    return noisy


def write(path: Path, planes: Planes) -> RawFrames:
    num_frames, height, width = planes[0].shape
    with path.open("wb") as file:
        for i in range(num_frames):
            for plane in planes:
                file.write(plane[i].tobytes())
    return RawFrames(path, "yuv420p", width, height, num_frames)


def by_ffmpeg(filter_name: str, decoded: RawFrames, source: RawFrames) -> str:
    """The statistics file of a filter, called as a user would."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    for frames in (decoded, source):
        size = f"{frames.width}x{frames.height}"
        command += ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-i", str(frames.path)]
    command += ["-lavfi", f"{filter_name}=stats_file=-", "-f", "null", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[RawFrames, RawFrames]:
    """(decoded, source): 4 frames of 128x96 with noise."""
    folder = tmp_path_factory.mktemp("filters")
    planes = moving_planes(4, 96, 128)
    return write(folder / "decoded.yuv", with_noise(planes, 9)), write(
        folder / "source.yuv", planes
    )


def test_psnr_agrees_with_ffmpeg(pair: tuple[RawFrames, RawFrames]) -> None:
    decoded, source = pair
    # psnr_rgb is not asked for: the rgb files are never opened.
    reference = Reference("clip", source, source, FPS, "bt709", "clip")
    found = score(reference, decoded, decoded, metrics=["psnr_y", "psnr_yuv"])
    stats = by_ffmpeg("psnr", decoded, source)
    planes = [np.array(re.findall(rf"psnr_{c}:(\S+)", stats), float) for c in "yuv"]
    assert found["psnr_y"] == pytest.approx(planes[0], abs=0.006)  # two decimals
    joined = (6 * planes[0] + planes[1] + planes[2]) / 8
    assert found["psnr_yuv"] == pytest.approx(joined, abs=0.01)


def test_vmaf_is_high_for_the_source_and_falls_with_blur(tmp_path: Path) -> None:
    planes = moving_planes(6, 144, 192)
    source = write(tmp_path / "source.yuv", planes)
    values = []
    for i, sigma in enumerate((0.0, 0.7, 1.5)):
        blurred = [gaussian_filter(planes[0], (0, sigma, sigma)), *planes[1:]]
        values.append(vmaf(write(tmp_path / f"{i}.yuv", blurred), source, fps=FPS))
    assert [len(frames) for frames in values] == [6] * 3
    assert min(values[0]) > 95
    means = [np.mean(frames) for frames in values]
    assert means[0] > means[1] + 3
    assert means[1] > means[2] + 3


def test_vmaf_knows_the_source_from_the_decoded(pair: tuple[RawFrames, RawFrames]) -> None:
    assert vmaf(*pair, fps=FPS) != vmaf(*pair[::-1], fps=FPS)


def test_xpsnr_agrees_with_its_equations(tmp_path: Path) -> None:
    planes = moving_planes(3, 480, 656)
    noisy = with_noise(planes, 6)
    source, decoded = write(tmp_path / "source.yuv", planes), write(tmp_path / "noisy.yuv", noisy)
    expected = xpsnr_of(noisy, planes)
    assert xpsnr(decoded, source, fps=FPS) == pytest.approx(expected, abs=0.01)


def xpsnr_of(decoded: Planes, source: Planes) -> list[float]:
    """XPSNR as in Helmrich et al. 2020 for 8 bits, up to 32 frames/s, 640x480 < size <= 2048x1152.

    Blocks of about 128 pixels at 3840x2160. A block's error is divided by its activity: the mean of
    a high-pass of the source, plus twice the mean of its change since the last frame, at least 4.
    """
    num_frames, height, width = source[0].shape
    ratio = height * width / (3840 * 2160)
    block = 4 * int(32 * np.sqrt(ratio) + 0.5)
    picture_activity = np.sqrt(16 * 2.0 ** (2 * 8 - 9) / np.sqrt(ratio))
    kernel = np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]])
    inside = np.zeros((height, width))
    inside[1:-1, 1:-1] = 1  # the border has no high-pass
    values, last = [], np.zeros((height, width))
    for i in range(num_frames):
        luma = source[0][i].astype(np.float64)
        spatial = np.abs(convolve(luma, kernel)) * inside
        activity = in_blocks(spatial, block) / in_blocks(inside, block)
        activity += 2 * in_blocks(np.abs(luma - last), block) / in_blocks(inside * 0 + 1, block)
        last = luma
        joined = 0.0
        for x, y, step, weight in zip(
            source, decoded, (1, 2, 2), (6 / 8, 1 / 8, 1 / 8), strict=True
        ):
            error = in_blocks((x[i].astype(np.float64) - y[i]) ** 2, block // step)
            weighted = (error / activity.clip(4)).sum() * picture_activity
            joined += weight * 10 * np.log10(x[i].size * 255**2 / weighted)
        values.append(joined)
    return values


def in_blocks(plane: npt.NDArray[np.float64], block: int) -> npt.NDArray[np.float64]:
    """Sums over square blocks, the last ones cut off."""
    rows = np.add.reduceat(plane, np.arange(0, plane.shape[0], block), axis=0)
    return np.add.reduceat(rows, np.arange(0, plane.shape[1], block), axis=1)


def test_xpsnr_of_tiny_frames_is_psnr(tmp_path: Path) -> None:
    """Under about 2025 pixels there are no blocks left to weigh."""
    planes = moving_planes(2, 32, 48)
    source = write(tmp_path / "source.yuv", planes)
    decoded = write(tmp_path / "noisy.yuv", with_noise(planes, 9))
    reference = Reference("clip", source, source, FPS, "bt709", "clip")
    found = score(reference, decoded, decoded, metrics=["xpsnr", "psnr_yuv"])
    assert found["xpsnr"] == pytest.approx(found["psnr_yuv"], abs=1e-3)


def test_xpsnr_counts_noise_more_where_the_source_is_flat(tmp_path: Path) -> None:
    planes = moving_planes(3, 144, 192)
    source = write(tmp_path / "source.yuv", planes)
    values = []
    for half in (slice(0, 96), slice(96, None)):  # texture, and flat
        noisy = [*with_noise(planes[:1], 6, columns=half), *planes[1:]]
        values.append(np.mean(xpsnr(write(tmp_path / "noisy.yuv", noisy), source, fps=FPS)))
    assert values[0] > values[1] + 1


def test_xpsnr_of_identical_clips_is_finite(pair: tuple[RawFrames, RawFrames]) -> None:
    assert xpsnr(pair[1], pair[1], fps=FPS) == [MAX_PSNR_DB] * 4


def test_a_failure_of_ffmpeg_is_one_line(tmp_path: Path) -> None:
    tiny = write(tmp_path / "tiny.yuv", moving_planes(1, 2, 4))
    with pytest.raises(EvaluationError, match=r"^VMAF: FFmpeg failed: [^\n]+$"):
        vmaf(tiny, tiny, fps=FPS)

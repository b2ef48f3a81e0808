"""Folders, patterns, y4m and raw video; and every way a source can be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest

from inrcodec.errors import VideoError
from inrcodec.video import RawVideoFormat, VideoReader
from inrcodec.video._pixels import Orientation

RAW = RawVideoFormat(64, 48, "yuv420p", Fraction(25))


@pytest.fixture
def pngs(clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    ffmpeg("-i", clip, "-frames:v", 11, "-start_number", 0, folder / "f%d.png")
    return folder


@pytest.mark.parametrize("kind", ["folder", "pattern"])
def test_images_in_the_order_of_their_numbers(pngs: Path, clip: Path, kind: str) -> None:
    reader = VideoReader(pngs if kind == "folder" else pngs / "f%d.png")
    frames = list(reader)
    metadata = reader.metadata
    assert (metadata.average_fps, metadata.num_frames_from_header) == (25, 11)
    assert [frame.pts * metadata.time_base * 25 for frame in frames] == list(range(11))
    expected = list(VideoReader(clip, frames=(0, 11)))
    assert all((a.rgb == b.rgb).all() for a, b in zip(frames, expected, strict=True))


def test_rate_of_images(pngs: Path) -> None:
    reader = VideoReader(pngs, fps=Fraction(60000, 1001), frames=(0, 2))
    assert reader.metadata.average_fps == Fraction(60000, 1001)
    assert [f.pts * reader.metadata.time_base for f in reader] == [0, Fraction(1001, 60000)]


def test_images_of_two_sizes_name_the_odd_one(pngs: Path, ffmpeg: Callable[..., bytes]) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x32", "-frames:v", 1, pngs / "f7.png")
    with pytest.raises(VideoError, match=r"f7.png: 32x32 pixels, but the first frame has 64x48"):
        list(VideoReader(pngs))


def test_hole_in_a_pattern(pngs: Path) -> None:
    (pngs / "f4.png").unlink()
    with pytest.raises(VideoError, match=r"f4.png is missing, but 5 is there"):
        VideoReader(pngs / "f%d.png")


def test_pattern_without_files(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"%05d.png: no file matches"):
        VideoReader(tmp_path / "%05d.png")


def test_pattern_in_no_folder(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"no such folder: .*nowhere"):
        VideoReader(tmp_path / "nowhere" / "%05d.png")


def test_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(VideoError, match="a folder without images"):
        VideoReader(tmp_path)


def test_image_that_is_none(pngs: Path) -> None:
    (pngs / "f2.png").write_bytes(b"no picture at all")
    with pytest.raises(VideoError, match=r"f2.png: not an image"):
        list(VideoReader(pngs))


def test_range_past_the_last_image_fails_at_once(pngs: Path) -> None:
    with pytest.raises(VideoError, match="frames 3:12 asked for, but the clip has 11 frames"):
        VideoReader(pngs, frames=(3, 12))


@pytest.mark.parametrize("name", ["a:b.mp4", "100%.mp4", "with space é.mp4"])
def test_names_are_only_names(clip: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(clip, tmp_path / name)
    assert len(list(VideoReader(tmp_path / name))) == 20


def test_y4m_and_raw_hold_the_same(
    clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]
) -> None:
    y4m, yuv = tmp_path / "a.y4m", tmp_path / "a.yuv"
    ffmpeg("-i", clip, y4m)
    ffmpeg("-i", clip, "-f", "rawvideo", yuv)
    expected = [frame.rgb for frame in VideoReader(clip)]
    for reader in (VideoReader(y4m), VideoReader(yuv, raw=RAW)):
        assert reader.metadata.average_fps == 25
        frames = [frame.rgb for frame in reader]
        assert all((a == b).all() for a, b in zip(frames, expected, strict=True))


@pytest.mark.parametrize(
    ("pixel_format", "size"),
    [("yuv420p", 15 * 9 + 2 * 8 * 5), ("nv12", 215), ("yuv420p10le", 430), ("rgb24", 405)],
)
def test_raw_frames_of_odd_size(tmp_path: Path, pixel_format: str, size: int) -> None:
    path = tmp_path / "odd.yuv"
    path.write_bytes(bytes(size * 2))
    raw = RawVideoFormat(15, 9, pixel_format, Fraction(30))
    assert VideoReader(path, raw=raw).metadata.num_frames_from_header == 2


def test_raw_file_of_a_broken_size(tmp_path: Path) -> None:
    path = tmp_path / "short.yuv"
    path.write_bytes(bytes(64 * 48 * 3 // 2 + 1))
    with pytest.raises(VideoError, match=r"4609 bytes are no whole number of 64x48 yuv420p frames"):
        VideoReader(path, raw=RAW)


def test_raw_file_without_a_format(tmp_path: Path) -> None:
    path = tmp_path / "what.yuv"
    path.write_bytes(bytes(4608))
    with pytest.raises(VideoError, match=r"what.yuv: raw video .* give --video-size"):
        VideoReader(path)


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (RawVideoFormat(0, 48, "yuv420p", Fraction(25)), "no raw video of 0x48"),
        (RawVideoFormat(64, 48, "yuv420p", Fraction(0)), "at 0 fps"),
        (RawVideoFormat(64, 48, "yuv420p", Fraction(2997002997, 10**8)), "are 1 to 2147483647"),
        (RawVideoFormat(64, 48, "yuv999", Fraction(25)), "unknown pixel format 'yuv999'"),
        (RawVideoFormat(64, 48, "x2rgb10le", Fraction(25)), "x2rgb10le is not supported"),
    ],
)
def test_raw_formats_that_are_none(tmp_path: Path, raw: RawVideoFormat, cause: str) -> None:
    path = tmp_path / "a.yuv"
    path.write_bytes(bytes(4608))
    with pytest.raises(VideoError, match=f"a.yuv: .*{cause}"):
        VideoReader(path, raw=raw)


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(2997002997, 10**8), Fraction(1, 1 << 31)])
def test_rates_of_images_that_are_none(pngs: Path, fps: Fraction) -> None:
    with pytest.raises(VideoError, match=r"no \S+ frames a second; .* are 1 to 2147483647"):
        VideoReader(pngs, fps=fps)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"nothing.mp4: no such file or folder"):
        VideoReader(tmp_path / "nothing.mp4")


def test_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("this is no video\n" * 100)
    with pytest.raises(VideoError, match=r"text.mp4: not a video that FFmpeg reads"):
        VideoReader(path)


def test_no_video_stream(clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = tmp_path / "sound.m4a"
    ffmpeg("-i", clip, "-vn", "-c", "copy", path)
    with pytest.raises(VideoError, match=r"sound.m4a: no video stream"):
        VideoReader(path)


def test_cut_off_mp4_is_said(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    data = clip.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    # An error where a packet is cut in two, a warning (here an error) where it fell between two.
    said = r"cut.mp4: (frame \d+: |the header promises 20 frames, the file holds)"
    with pytest.raises((VideoError, UserWarning), match=said):
        list(VideoReader(path))


def test_cut_off_mkv_is_said(clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    whole, path = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    ffmpeg("-i", clip, "-c", "copy", whole)
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.warns(UserWarning, match=r"cut.mkv: the header promises 0.80 s of video"):
        frames = list(VideoReader(path))
    assert 0 < len(frames) < 20


def test_cut_off_avi_is_said(clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    whole, path = tmp_path / "whole.avi", tmp_path / "cut.avi"
    ffmpeg("-i", clip, "-an", "-c:v", "mjpeg", whole)
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    said = r"cut.avi: (frame \d+: |the header promises 0.80 s of video)"
    with pytest.raises((VideoError, UserWarning), match=said):
        list(VideoReader(path))


def test_whole_files_of_fewer_frames_are_not_cut_off(
    clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]
) -> None:
    """AVI counts frames that were dropped; an edit list ends before the packets do."""
    dropped, trimmed = tmp_path / "dropped.avi", tmp_path / "trimmed.mp4"
    every = "select='not(mod(n,4))'"
    ffmpeg("-i", clip, "-an", "-vf", every, "-fps_mode", "vfr", "-c:v", "mjpeg", dropped)
    with av.open(str(dropped)) as container:
        assert container.streams.video[0].frames > 5
    assert len(list(VideoReader(dropped))) == 5
    ffmpeg("-i", clip, "-an", "-c", "copy", trimmed)
    data = bytearray(trimmed.read_bytes())
    at = data.index(b"elst") + 12  # the length of the first edit
    length = int.from_bytes(data[at : at + 4], "big")
    data[at : at + 4] = (length // 2).to_bytes(4, "big")
    trimmed.write_bytes(data)
    assert len(list(VideoReader(trimmed))) == 10


def test_damaged_data_names_the_frame(tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = tmp_path / "bad.avi"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.8", "-c:v", "mjpeg", path)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    middle = len(data) // 2
    data[middle : middle + 400] ^= 0x5A
    path.write_bytes(data.tobytes())
    with pytest.raises(VideoError, match=r"bad.avi: frame \d+: "):
        list(VideoReader(path))


def test_frame_size_that_changes(tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    parts = []
    for size in ("64x48", "32x32"):
        source = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.2")
        parts.append(ffmpeg(*source, "-c:v", "libx264", "-f", "h264", "-"))
    path = tmp_path / "two.h264"
    path.write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match=r"two.h264: frame 5: 32x32 pixels, but .* 64x48"):
        list(VideoReader(path))


def test_images_turned_otherwise_name_the_odd_one(
    pngs: Path, clip: Path, ffmpeg: Callable[..., bytes]
) -> None:
    """As where one photograph of a folder says that the camera was held upright."""
    mixed = pngs / "mixed.mp4"
    ffmpeg("-i", clip, "-frames:v", 2, mixed)
    reader = VideoReader(mixed)
    reader._orientation = Orientation(next(reader._source.decode()), source="")
    reader._orientation.transposed = True
    with pytest.raises(VideoError, match="turned otherwise than the first frame"):
        list(reader)


def test_a_range_does_not_need_what_comes_after_it(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = VideoReader(clip, frames=(0, 3))
    decode = reader._source.decode

    def damaged_later() -> Iterator[object]:
        for index, frame in enumerate(decode()):
            assert index <= 3, "the fourth frame gives the third its duration; more is not needed"
            yield frame

    monkeypatch.setattr(reader._source, "decode", damaged_later)
    assert len(list(reader)) == 3


class _Turned:
    """A frame with a display matrix, of which it has a, b, c and d."""

    def __init__(self, a: int, b: int, c: int, d: int) -> None:
        matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1], np.int32)
        self.side_data = {"DISPLAYMATRIX": (matrix << 16).tobytes()}


@pytest.mark.parametrize(
    ("turned", "degrees"),
    [
        ((1, 0, 0, 1), 0),
        ((0, 1, -1, 0), 90),
        ((-1, 0, 0, -1), 180),
        ((0, -1, 1, 0), 270),
        ((-1, 0, 0, 1), 0),  # mirrored, as are the others
        ((1, 0, 0, -1), 0),
        ((0, 1, 1, 0), 0),
        ((0, -1, -1, 0), 0),
    ],
)
def test_what_is_mirrored_is_not_turned(turned: tuple[int, int, int, int], degrees: int) -> None:
    orientation = Orientation(cast("Any", _Turned(*turned)), source="a.mp4")
    assert orientation.degrees_clockwise == degrees
    assert orientation.is_upright == (turned == (1, 0, 0, 1))


def test_a_matrix_of_zeros_is_none() -> None:
    assert Orientation(cast("Any", _Turned(0, 0, 0, 0)), source="a.mp4").is_upright

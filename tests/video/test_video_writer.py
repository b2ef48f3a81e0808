"""What `VideoWriter` writes: every ending, its tags, time stamps and pixels; and how it fails."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch

from inrcodec.errors import VideoError
from inrcodec.video import (
    ColorTags,
    RawVideoFormat,
    VideoFrame,
    VideoMetadata,
    VideoReader,
    VideoWriter,
)

Describe = Callable[..., VideoMetadata]
Picture = Callable[..., VideoFrame]

pytestmark = pytest.mark.usefixtures("no_part_files")


def write(target: object, metadata: VideoMetadata, frames: Iterable[VideoFrame]) -> None:
    with VideoWriter(target, metadata=metadata) as writer:  # type: ignore[arg-type]
        for frame in frames:
            writer.write(frame)


def mean_error(a: VideoFrame, b: VideoFrame) -> float:
    return float((a.rgb.float() - b.rgb.float()).abs().mean())


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "y4m"])
def test_pixels_come_back(
    tmp_path: Path, describe: Describe, picture: Picture, ending: str, size: tuple[int, int]
) -> None:
    width, height = size
    frames = [picture(index, width=width, height=height) for index in range(6)]
    color = ColorTags() if ending == "y4m" else ColorTags(1, 1, 1, False)
    write(tmp_path / f"a.{ending}", describe(width=width, height=height, color=color), frames)
    reader = VideoReader(tmp_path / f"a.{ending}")
    assert (reader.metadata.width, reader.metadata.height) == size
    assert reader.metadata.pixel_format == ("yuv420p" if size == (64, 48) else "yuv444p")
    back = list(reader)
    # FFmpeg's fast path for 4:2:0 comes out one level low.
    assert max(mean_error(a, b) for a, b in zip(frames, back, strict=True)) < 2.5


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_tags_come_back_and_colours_obey_them(
    tmp_path: Path, describe: Describe, ending: str, matrix: int, full: bool
) -> None:
    if matrix == 9 and int(av.__version__.split(".")[0]) < 18:
        pytest.skip("PyAV below 18 cannot convert to BT.2020: the writer refuses")
    color = ColorTags(primaries=matrix, transfer=1, matrix=matrix, full_range=full)
    metadata = describe(color=color, sample_aspect_ratio=Fraction(128, 117))
    rgb = torch.tensor([200, 40, 90], dtype=torch.uint8).reshape(3, 1, 1).repeat(1, 48, 64)
    write(tmp_path / f"a.{ending}", metadata, [VideoFrame(rgb, 0, 512)])
    reader = VideoReader(tmp_path / f"a.{ending}")
    assert reader.metadata.color == color
    assert reader.metadata.sample_aspect_ratio == Fraction(128, 117)
    difference = next(iter(reader)).rgb.int() - rgb.int()
    assert difference.abs().max() <= 4


@pytest.mark.parametrize("name", ["a.mp4", "a.y4m", "%05d.png"])
def test_ctrl_c_while_it_is_finished_leaves_nothing(
    tmp_path: Path,
    describe: Describe,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def interrupt(*paths: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name, describe(), [picture(0)])
    assert list(tmp_path.iterdir()) == []


def test_bt2020_is_refused_where_pyav_would_convert_it_wrongly(
    tmp_path: Path, describe: Describe, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("av.__version__", "17.1.0")
    color = ColorTags(primaries=9, transfer=1, matrix=9)
    for target in (tmp_path / "a.mp4", tmp_path / "a.y4m", "-"):
        with pytest.raises(VideoError, match=r"PyAV 17\.1\.0 cannot convert RGB to BT\.2020"):
            write(target, describe(color=color), [picture(0)])
    assert list(tmp_path.iterdir()) == []


def test_webm_carries_the_tags(tmp_path: Path, describe: Describe, picture: Picture) -> None:
    write(tmp_path / "a.webm", describe(), [picture(0)])
    back = VideoReader(tmp_path / "a.webm").metadata
    assert (back.codec, back.color) == ("vp9", describe().color)


def test_webm_says_that_it_drops_the_aspect(
    tmp_path: Path, describe: Describe, picture: Picture
) -> None:
    with pytest.warns(UserWarning, match=r"a.webm: .* without the sample aspect ratio 4/3"):
        write(tmp_path / "a.webm", describe(sample_aspect_ratio=Fraction(4, 3)), [picture(0)])


def test_rgb_sources_become_tagged_bt709(
    tmp_path: Path, describe: Describe, picture: Picture
) -> None:
    write(tmp_path / "a.mp4", describe(color=ColorTags(2, 2, 0, True)), [picture(0)])
    assert VideoReader(tmp_path / "a.mp4").metadata.color == ColorTags(2, 2, 1, False)


@pytest.mark.parametrize(("ending", "tolerance"), [("mp4", 0), ("mkv", 1), ("webm", 1)])
def test_variable_time_stamps(
    tmp_path: Path, describe: Describe, picture: Picture, ending: str, tolerance: int
) -> None:
    ticks = [7000, 7100, 9000, 9300, 15000, 15001 + 300]
    lasts = [b - a for a, b in zip(ticks, [*ticks[1:], 16000], strict=True)]
    frames = [
        VideoFrame(picture(index).rgb, pts, last)
        for index, (pts, last) in enumerate(zip(ticks, lasts, strict=True))
    ]
    write(tmp_path / f"a.{ending}", describe(time_base=Fraction(1, 10000)), frames)
    reader = VideoReader(tmp_path / f"a.{ending}")
    tick = reader.metadata.time_base
    back = list(reader)
    for frame, pts in zip(back, ticks, strict=True):
        wanted = Fraction(pts - ticks[0], 10000)
        assert abs(frame.pts * tick - wanted) <= tolerance * Fraction(1, 1000)
    if ending == "mp4":
        # The last one is what MP4 says of the last packet in coding order.
        assert [frame.duration * tick * 10000 for frame in back[:-1]] == lasts[:-1]


def test_time_base_with_a_numerator(tmp_path: Path, describe: Describe, picture: Picture) -> None:
    tick = Fraction(1001, 30000)
    frames = [picture(index, step=1) for index in range(5)]
    write(tmp_path / "a.mp4", describe(time_base=tick, average_fps=1 / tick), frames)
    reader = VideoReader(tmp_path / "a.mp4")
    assert [f.pts * reader.metadata.time_base for f in reader] == [i * tick for i in range(5)]
    assert reader.metadata.average_fps == 1 / tick


def test_y4m_header(tmp_path: Path, describe: Describe, picture: Picture) -> None:
    metadata = describe(
        average_fps=Fraction(30000, 1001), sample_aspect_ratio=Fraction(128, 117), color=ColorTags()
    )
    write(tmp_path / "a.y4m", metadata, [picture(0), picture(1)])
    data = (tmp_path / "a.y4m").read_bytes()
    header = b"YUV4MPEG2 W64 H48 F30000:1001 Ip A128:117 C420jpeg XCOLORRANGE=LIMITED\n"
    assert data.startswith(header + b"FRAME\n")
    assert len(data) == len(header) + 2 * (6 + 64 * 48 * 3 // 2)
    back = VideoReader(tmp_path / "a.y4m").metadata
    assert (back.average_fps, back.sample_aspect_ratio) == (
        Fraction(30000, 1001),
        Fraction(128, 117),
    )


def test_y4m_444_of_odd_size_is_what_ffmpeg_reads(
    tmp_path: Path, describe: Describe, picture: Picture, ffmpeg: Callable[..., bytes]
) -> None:
    frame = picture(0, width=33, height=17)
    write(tmp_path / "a.y4m", describe(width=33, height=17, color=ColorTags()), [frame])
    raw = ffmpeg("-i", tmp_path / "a.y4m", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    back = torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(17, 33, 3).permute(2, 0, 1)
    assert (back.int() - frame.rgb.int()).abs().max() <= 2


@pytest.mark.parametrize(("size", "pixel_format"), [((64, 48), "yuv420p"), ((35, 48), "yuv444p")])
def test_raw_planes(
    tmp_path: Path, describe: Describe, picture: Picture, size: tuple[int, int], pixel_format: str
) -> None:
    width, height = size
    frames = [picture(index, width=width, height=height) for index in range(3)]
    write(tmp_path / "a.yuv", describe(width=width, height=height, color=ColorTags()), frames)
    raw = RawVideoFormat(width, height, pixel_format, Fraction(25))
    back = list(VideoReader(tmp_path / "a.yuv", raw=raw))
    assert max(mean_error(a, b) for a, b in zip(frames, back, strict=True)) < 2


@pytest.mark.parametrize("target", ["-", io.BytesIO()])
def test_matrices_that_cannot_be_converted_are_refused_in_streams(
    target: object, describe: Describe
) -> None:
    with pytest.raises(VideoError, match="colour matrix 14"):
        VideoWriter(target, metadata=describe(color=ColorTags(matrix=14)))  # type: ignore[arg-type]


def test_a_pattern_may_have_other_per_cents(
    tmp_path: Path, describe: Describe, picture: Picture
) -> None:
    write(tmp_path / "50%s_%02d.png", describe(), [picture(0)])
    assert [path.name for path in tmp_path.iterdir()] == ["50%s_01.png"]


def test_pngs_are_lossless(tmp_path: Path, describe: Describe) -> None:
    torch.manual_seed(0)
    noise = torch.randint(0, 256, (3, 3, 47, 63), dtype=torch.uint8)
    frames = [VideoFrame(rgb, index * 512, 512) for index, rgb in enumerate(noise)]
    write(tmp_path / "f%05d.png", describe(width=63, height=47), frames)
    names = [f"f{number:05d}.png" for number in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    back = torch.stack([frame.rgb for frame in VideoReader(tmp_path / "f%05d.png")])
    assert torch.equal(back, noise)


def test_no_png_is_moved_where_one_has_no_place(
    tmp_path: Path, describe: Describe, picture: Picture
) -> None:
    (tmp_path / "3.png").mkdir()
    (tmp_path / "1.png").write_bytes(b"kept")
    with pytest.raises(VideoError, match=r"3.png: is there already and is no regular file"):
        write(tmp_path / "%d.png", describe(), [picture(i) for i in range(3)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "3.png"]
    assert (tmp_path / "1.png").read_bytes() == b"kept"


class Slow(io.RawIOBase):
    """Takes some bytes at a time, as a socket does; at last none."""

    def __init__(self, most: int) -> None:
        self.taken, self._most = bytearray(), most

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        part = bytes(data[: min(1000, self._most - len(self.taken))])
        self.taken += part
        return len(part) or None


def test_a_raw_file_gets_every_byte(describe: Describe, picture: Picture) -> None:
    whole, slow = io.BytesIO(), Slow(1 << 20)
    for target in (whole, slow):
        write(target, describe(), [picture(0), picture(1)])
    assert len(whole.getvalue()) > 9000
    assert bytes(slow.taken) == whole.getvalue()
    with pytest.raises(VideoError, match="takes no more bytes"):
        write(Slow(5000), describe(), [picture(0), picture(1)])


def test_standard_output_is_y4m(tmp_path: Path) -> None:
    program = (
        "import torch\nfrom fractions import Fraction as F\nfrom inrcodec.video import *\n"
        "m = VideoMetadata(16, 16, F(1, 25), F(25), F(1), ColorTags(), None, '', '', 8, '', 0)\n"
        "with VideoWriter('-', metadata=m) as w:\n"
        "    for i in range(4000):\n"
        "        w.write(VideoFrame(torch.zeros(3, 16, 16, dtype=torch.uint8), i, 1))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout.startswith(b"YUV4MPEG2 W16 H16 F25:1")
    assert done.stdout.count(b"FRAME\n") == 4000
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as closed:
        assert closed.stdout is not None
        assert closed.stderr is not None
        closed.stdout.read(10)
        closed.stdout.close()
        error = closed.stderr.read().decode()
    assert error.rstrip().endswith("VideoError: standard output: the reader closed the pipe")


def test_file_object_stays_open(describe: Describe, picture: Picture) -> None:
    buffer = io.BytesIO()
    write(buffer, describe(), [picture(0)])
    assert buffer.getvalue().startswith(b"YUV4MPEG2 W64 H48")


@pytest.mark.parametrize("name", ["a.gif", "a", "a.inr", "a.png", "a%d%d.png"])
def test_unknown_endings(tmp_path: Path, describe: Describe, name: str) -> None:
    with pytest.raises(VideoError, match=r"unknown kind of output; known: .mp4, .mkv, .webm, .y4m"):
        VideoWriter(tmp_path / name, metadata=describe())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.y4m", "%03d.png"])
def test_folder_that_is_not_there(tmp_path: Path, describe: Describe, name: str) -> None:
    with pytest.raises(VideoError, match=r"no such folder: .*nowhere"):
        VideoWriter(tmp_path / "nowhere" / name, metadata=describe())


def test_target_that_is_a_folder(tmp_path: Path, describe: Describe) -> None:
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(VideoError, match=r"a.mp4: is there already and is no regular file"):
        VideoWriter(tmp_path / "a.mp4", metadata=describe())


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.y4m", "a.yuv", "%03d.png"])
def test_failure_leaves_the_old_file(
    tmp_path: Path, describe: Describe, picture: Picture, name: str
) -> None:
    old = tmp_path / (name % 1 if "%" in name else name)
    old.write_bytes(b"old")

    def broken_decoder() -> Iterator[VideoFrame]:
        yield picture(0)
        raise RuntimeError("the decoder broke")

    with pytest.raises(RuntimeError, match="the decoder broke"):
        write(tmp_path / name, describe(), broken_decoder())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    write(tmp_path / name, describe(), [picture(0)])
    assert old.read_bytes() != b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_full_disk_in_the_middle_of_a_file(
    tmp_path: Path, describe: Describe, picture: Picture
) -> None:
    """Frames that small are buffered: what is left of them fails once more when it is closed."""
    target = tmp_path / "out.y4m"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises(VideoError, match=r"out.y4m: cannot be written: "):
            write(target, describe(), map(picture, range(9)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk(describe: Describe, picture: Picture) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this machine")
    with open("/dev/full", "wb", buffering=0) as full:
        writer = VideoWriter(full, metadata=describe())
        with pytest.raises(VideoError, match="output: cannot be written: No space left"):
            writer.write(picture(0))


def test_no_frames(tmp_path: Path, describe: Describe) -> None:
    with pytest.raises(VideoError, match=r"a.mp4: no frames to write"):
        write(tmp_path / "a.mp4", describe(), [])
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit(tmp_path: Path, describe: Describe, picture: Picture) -> None:
    with VideoWriter(tmp_path / "a.y4m", metadata=describe()) as writer:
        writer.write(picture(1))
        with pytest.raises(
            ValueError, match=r"must be \(3, 48, 64\) torch.uint8, not \(3, 10, 8\)"
        ):
            writer.write(picture(2, width=8, height=10))
        with pytest.raises(ValueError, match="pts 0 does not follow 512"):
            writer.write(picture(0))
    with pytest.raises(ValueError, match="is closed"):
        writer.write(picture(3))


@pytest.mark.parametrize(
    ("color", "cause"), [(ColorTags(9, 16, 9), "HDR"), (ColorTags(2, 2, 14), "matrix 14")]
)
def test_tags_that_cannot_be_written(
    tmp_path: Path, describe: Describe, color: ColorTags, cause: str
) -> None:
    with pytest.raises(VideoError, match=f"a.mp4: .*{cause}"):
        VideoWriter(tmp_path / "a.mp4", metadata=describe(color=color))
    assert list(tmp_path.iterdir()) == []


def test_png_files_need_no_tags(tmp_path: Path, describe: Describe, picture: Picture) -> None:
    metadata = describe(color=ColorTags(9, 16, 9), time_base=Fraction(1, 1 << 31))
    with VideoWriter(tmp_path / "%05d.png", metadata=metadata) as writer:
        writer.write(picture(0))
    with VideoReader(tmp_path / "%05d.png") as reader:
        assert torch.equal(next(iter(reader)).rgb, picture(0).rgb)

"""Every reference codec on a tiny clip: sizes counted twice, what decodes, odd sizes, failures."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from inrcodec.errors import CodecError
from inrcodec.evaluation import RawFrames, Reference, prepare_reference, yuv420_to_rgb
from inrcodec.evaluation._ffmpeg import ffmpeg_path, run_ffmpeg
from inrcodec.evaluation.codecs import CODECS, CodecPoint, ffmpeg_version, find_codec
from inrcodec.evaluation.codecs._graphs import encode_arguments
from inrcodec.evaluation.codecs._padding import padded_size, write_padded
from inrcodec.evaluation.codecs._part_folder import part_folder
from inrcodec.metrics import psnr_db

NUM_FRAMES = 8
FASTEST = {
    "x264": "ultrafast",
    "x265": "ultrafast",
    "svtav1": "12",
    "libaom": "8",
    "vvenc": "faster",
}
FINE, COARSE = 20, 50
NAMES = sorted(CODECS)


def make_reference(
    folder: Path, width: int, height: int, *, num_frames: int = NUM_FRAMES, matrix: str = "bt709"
) -> Reference:
    """A moving, coloured pattern as RGB, and its 4:2:0 by FFmpeg."""
    y, x = np.mgrid[:height, :width]
    t = np.arange(num_frames)[:, None, None]
    red = 128 + 90 * np.sin((x + 3 * t) / 9)
    green = 128 + 90 * np.cos((y - 2 * t) / 7)
    blue = 128 + 60 * np.sin((x + y + t) / 15)
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    images = np.clip(np.stack([red, green, blue], -1) + noise, 0, 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    rgb, yuv = folder / "reference.rgb", folder / "reference.yuv"
    rgb.write_bytes(images.tobytes())
    raw = ["-f", "rawvideo", "-video_size", f"{width}x{height}"]
    convert = f"scale=out_color_matrix={matrix}:out_range=tv:out_chroma_loc=center"
    flags = "flags=accurate_rnd+full_chroma_int+full_chroma_inp+lanczos"
    source = [*raw, "-pixel_format", "rgb24", "-i", str(rgb)]
    target = ["-pix_fmt", "yuv420p", "-f", "rawvideo", str(yuv)]
    run_ffmpeg([*source, "-vf", f"{convert}:{flags}", *target], task="reference")
    size = width, height, num_frames
    return Reference(
        name="tiny",
        rgb=RawFrames(rgb, "rgb24", *size),
        yuv=RawFrames(yuv, "yuv420p", *size),
        fps=Fraction(25),
        matrix=matrix,
        label="tiny",
    )


def psnr_y(decoded: RawFrames, reference: Reference) -> float:
    luma = [f.planes(0, f.num_frames)[0].astype(float) for f in (decoded, reference.yuv)]
    return float(10 * np.log10(255**2 / np.mean((luma[0] - luma[1]) ** 2)))


def psnr_rgb(decoded: RawFrames, reference: Reference) -> float:
    frames = [f.rgb(0, f.num_frames) for f in (decoded, reference.rgb)]
    return psnr_db(frames[0], frames[1]).mean().item()


def packet_bytes_by_pyav(point: CodecPoint) -> list[int]:
    form = CODECS[point.codec].stream_format
    with av.open(str(point.stream), format=form) as container:
        return [packet.size for packet in container.demux(video=0) if packet.size]


def packet_bytes_by_ffmpeg(point: CodecPoint) -> list[int]:
    form = CODECS[point.codec].stream_format
    command = [ffmpeg_path(), "-v", "error", "-f", form, "-i", str(point.stream)]
    command += ["-c", "copy", "-f", "framecrc", "-"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # stream, dts, pts, duration, size, checksum
    rows = [line.split(",") for line in listing.splitlines() if not line.startswith("#")]
    return [int(row[4]) for row in rows]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return make_reference(tmp_path_factory.mktemp("tiny"), 64, 48)


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name: str, tiny: Reference, tmp_path: Path) -> None:
    codec = find_codec(name)
    fine, coarse = (
        codec.encode(tiny, quality, preset=FASTEST[name], folder=tmp_path / "streams")
        for quality in (FINE, COARSE)
    )
    assert sorted((tmp_path / "streams").iterdir()) == sorted([fine.stream, coarse.stream])
    assert (fine.codec, fine.preset, fine.quality) == (name, FASTEST[name], FINE)
    assert coarse.num_bytes < fine.num_bytes
    for point in (fine, coarse):
        by_pyav, by_ffmpeg = packet_bytes_by_pyav(point), packet_bytes_by_ffmpeg(point)
        assert point.num_bytes == sum(by_pyav) == sum(by_ffmpeg)
        assert len(by_pyav) == len(by_ffmpeg) == NUM_FRAMES
        assert 0 < point.encode_seconds < 60
        assert 0 < point.decode_seconds < 60
    quality = []
    for point in (fine, coarse):
        rgb, yuv = codec.decode(point, tiny, tmp_path / "decoded")
        assert rgb.path.stat().st_size == NUM_FRAMES * 64 * 48 * 3
        assert yuv.path.stat().st_size == NUM_FRAMES * 64 * 48 * 3 // 2
        quality.append((psnr_y(yuv, tiny), psnr_rgb(rgb, tiny)))
    (fine_y, fine_rgb), (coarse_y, coarse_rgb) = quality
    assert fine_y > 34
    assert fine_rgb > 31
    assert 15 < coarse_y < fine_y - 1
    assert 15 < coarse_rgb < fine_rgb - 1
    assert len(list((tmp_path / "decoded").iterdir())) == 4


@pytest.mark.parametrize("name", NAMES)
def test_odd_sizes_come_back(name: str, tmp_path: Path) -> None:
    reference = make_reference(tmp_path, 65, 49)
    codec = CODECS[name]
    point = codec.encode(reference, FINE, preset=FASTEST[name], folder=tmp_path)
    rgb, yuv = codec.decode(point, reference, tmp_path)
    assert (rgb.width, rgb.height, yuv.width, yuv.height) == (65, 49, 65, 49)
    assert yuv.path.stat().st_size == NUM_FRAMES * (65 * 49 + 2 * 33 * 25)
    assert psnr_y(yuv, reference) > 34
    assert psnr_rgb(rgb, reference) > 31
    # The last column and row are what was coded, not something that the padding brought in.
    last = np.s_[:, -1, :], np.s_[:, :, -1]
    decoded, source = (f.planes(0, NUM_FRAMES)[0].astype(float) for f in (yuv, reference.yuv))
    for edge in last:
        assert np.mean((decoded[edge] - source[edge]) ** 2) < 40


@pytest.mark.parametrize("name", NAMES)
def test_stream_says_its_colours(name: str, tmp_path: Path) -> None:
    # H.273 code points of matrix, primaries and transfer.
    for matrix, tags in {"bt601": (6, 6, 6), "bt709": (1, 1, 1), "bt2020": (9, 9, 1)}.items():
        reference = make_reference(tmp_path, 64, 64, num_frames=2, matrix=matrix)
        codec = CODECS[name]
        point = codec.encode(reference, FINE, preset=FASTEST[name], folder=tmp_path)
        with av.open(str(point.stream), format=codec.stream_format) as container:
            frame = next(container.decode(video=0))
        found = frame.colorspace, frame.color_primaries, frame.color_trc
        assert tuple(map(int, found)) == tags, matrix
        assert int(frame.color_range) == 1  # limited
        rgb, _ = codec.decode(point, reference, tmp_path)
        assert psnr_rgb(rgb, reference) > 31, matrix


def test_rgb_is_converted_to_the_420_that_is_fed_otherwise(tiny: Reference, tmp_path: Path) -> None:
    streams = [
        CODECS["x264"].encode(tiny, FINE, preset="ultrafast", folder=tmp_path / feed, feed=feed)
        for feed in ("yuv", "rgb")
    ]
    assert streams[0].stream.read_bytes() == streams[1].stream.read_bytes()


def own_420_reference(folder: Path, *, matrix: str) -> Reference:
    """A reference whose 4:2:0 is the source's own: an H.264 file."""
    clip = folder / "clip.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.2"]
    convert = f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p"
    run_ffmpeg([*source, "-vf", convert, "-c:v", "libx264", str(clip)], task="clip")
    return prepare_reference(clip, folder / "reference")


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_own_420_costs_no_conversion(matrix: str, tmp_path: Path) -> None:
    reference = own_420_reference(tmp_path, matrix=matrix)
    assert reference.matrix == matrix
    # x264 is lossless at 0.
    point = CODECS["x264"].encode(reference, 0, preset="ultrafast", folder=tmp_path)
    rgb, yuv = CODECS["x264"].decode(point, reference, tmp_path)
    assert yuv.path.read_bytes() == reference.yuv.path.read_bytes()
    assert rgb.path.read_bytes() == reference.rgb.path.read_bytes()
    rgb, _ = CODECS["x264"].decode(point, reference, tmp_path, conversion="full")
    assert psnr_rgb(rgb, reference) < 45


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 49)])
def test_420_made_from_rgb_goes_back_with_full_chroma(
    width: int, height: int, tmp_path: Path
) -> None:
    reference = make_reference(tmp_path, width, height)
    point = CODECS["x264"].encode(reference, 0, preset="ultrafast", folder=tmp_path)
    rgb, yuv = CODECS["x264"].decode(point, reference, tmp_path)
    assert yuv.path.read_bytes() == reference.yuv.path.read_bytes()
    expected = yuv420_to_rgb(reference.yuv, tmp_path / "expected", matrix=reference.matrix)
    assert rgb.path.read_bytes() == expected.path.read_bytes()


def test_ten_bit_encoders_get_eight_bits_times_four(tiny: Reference, tmp_path: Path) -> None:
    raw = {"format": "rawvideo", "vcodec": "rawvideo"}
    deep = tmp_path / "deep.yuv"
    arguments = encode_arguments(tiny.yuv, tiny, deep, pixel_format="yuv420p10le", settings=raw)
    run_ffmpeg(arguments, task="converting")
    expected = np.fromfile(tiny.yuv.path, np.uint8).astype("<u2") * 4
    assert np.array_equal(np.fromfile(deep, "<u2"), expected)


def test_ten_bits_are_rounded_to_nearest(tiny: Reference, tmp_path: Path) -> None:
    codec = CODECS["vvenc"]
    point = codec.encode(tiny, FINE, preset="faster", folder=tmp_path, feed="rgb")
    _, yuv = codec.decode(point, tiny, tmp_path)
    deep = tmp_path / "deep.yuv"
    raw = ["-pix_fmt", "yuv420p10le", "-f", "rawvideo", str(deep)]
    run_ffmpeg(["-f", "vvc", "-i", str(point.stream), *raw], task="decoding")
    values = np.fromfile(deep, "<u2")
    expected = np.minimum((values + 2) >> 2, 255).astype(np.uint8)
    assert np.array_equal(np.fromfile(yuv.path, np.uint8), expected)


@pytest.mark.parametrize("name", NAMES)
def test_gop_threads_and_tuning(name: str, tmp_path: Path) -> None:
    reference = make_reference(tmp_path, 64, 64, num_frames=40)
    codec = CODECS[name]
    key_frames = {}
    for gop_frames in (None, 16):
        point = codec.encode(
            reference,
            40,
            preset=FASTEST[name],
            tune_psnr=True,
            folder=tmp_path,
            gop_frames=gop_frames,
            num_threads=1,
        )
        assert point.tune_psnr
        assert "psnr" in point.stream.name
        with av.open(str(point.stream), format=codec.stream_format) as container:
            key_frames[gop_frames] = sum(
                packet.is_keyframe for packet in container.demux(video=0) if packet.size
            )
    # VVenC's first key frame is shown last of its group.
    assert key_frames == {None: 1, 16: 2 if name == "vvenc" else 3}


def test_qualities_are_within_their_range() -> None:
    for codec in CODECS.values():
        low, high = codec.quality_range
        assert all(low <= quality <= high for quality in codec.qualities)
        assert list(codec.qualities) == sorted(codec.qualities)


def test_default_sweeps_reach_the_quality_of_quick_fits() -> None:
    # 24 to 25 dB on Bunny at 640x360; the quantiser of AV1 ends before.
    ends = {name: codec.qualities[-1] for name, codec in CODECS.items()}
    assert ends == {"x264": 50, "x265": 50, "svtav1": 63, "libaom": 63, "vvenc": 56}


def test_unknown_codec_names_the_known_ones() -> None:
    with pytest.raises(CodecError, match=r"x266.*x264, x265, svtav1, libaom, vvenc"):
        find_codec("x266")


@pytest.mark.parametrize(("name", "quality"), [("x264", 52), ("x265", -1), ("vvenc", 30.5)])
def test_quality_out_of_range(name: str, quality: float, tiny: Reference, tmp_path: Path) -> None:
    with pytest.raises(CodecError, match=f"{quality:g} must be a .*number from 0 to"):
        CODECS[name].encode(tiny, quality, folder=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_failing_ffmpeg_is_one_line(name: str, tiny: Reference, tmp_path: Path) -> None:
    with pytest.raises(CodecError) as caught:
        CODECS[name].encode(tiny, 30, preset="nonsense", folder=tmp_path / "streams")
    message = str(caught.value)
    assert message.startswith(f"{name} nonsense, ")
    assert "nonsense" in message.split("FFmpeg failed: ")[1]
    assert "\n" not in message
    assert not re.search(r"0x[0-9a-f]{6}", message)
    assert list((tmp_path / "streams").iterdir()) == []


def test_damaged_stream_is_one_line(tiny: Reference, tmp_path: Path) -> None:
    point = CODECS["x264"].encode(tiny, 30, preset="ultrafast", folder=tmp_path)
    point.stream.write_bytes(point.stream.read_bytes()[: point.num_bytes // 2])
    with pytest.raises(CodecError, match=r"^decoding x264-ultrafast-30\.264: .*bytes") as caught:
        CODECS["x264"].decode(point, tiny, tmp_path / "decoded")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "decoded").iterdir()) == []


def test_no_ffmpeg(monkeypatch: pytest.MonkeyPatch, tiny: Reference, tmp_path: Path) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises(CodecError, match="nowhere cannot be run"):
        CODECS["x264"].encode(tiny, 30, folder=tmp_path)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CodecError, match="cannot be written to"), part_folder(tmp_path / "file"):
        pass


def test_ctrl_c_kills_ffmpeg_and_leaves_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # A shell starts background jobs with SIGINT ignored.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, previous))
    reference = make_reference(tmp_path / "reference", 320, 180, num_frames=60)
    main, me = threading.main_thread().ident, psutil.Process()
    seen: list[psutil.Process] = []

    def press_ctrl_c() -> None:
        for _ in range(200):
            time.sleep(0.05)
            seen[:] = [child for child in me.children() if "ffmpeg" in child.name()]
            if seen and list((tmp_path / "streams").glob(".*.part/*")):
                break
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=press_ctrl_c)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        CODECS["libaom"].encode(reference, 20, preset="1", folder=tmp_path / "streams")
    thread.join()
    assert seen
    assert not any(child.is_running() for child in seen)
    assert list((tmp_path / "streams").iterdir()) == []


def test_padding_repeats_the_edge(tmp_path: Path) -> None:
    reference = make_reference(tmp_path, 65, 49, num_frames=3)
    size = padded_size(65, 49, min_side=2)
    yuv = write_padded(reference.yuv, tmp_path / "padded.yuv", size=size)
    y, u, v = yuv.planes(0, 3)
    y0, u0, v0 = reference.yuv.planes(0, 3)
    assert np.array_equal(y, np.pad(y0, ((0, 0), (0, 1), (0, 1)), mode="edge"))
    assert np.array_equal(u, u0)
    assert np.array_equal(v, v0)
    rgb = write_padded(reference.rgb, tmp_path / "padded.rgb", size=size)
    assert np.array_equal(rgb.rgb(0, 3)[:, :, :49, :65], reference.rgb.rgb(0, 3))
    assert np.array_equal(rgb.rgb(0, 3)[:, :, 49, 65], reference.rgb.rgb(0, 3)[:, :, 48, 64])


def test_ffmpeg_says_its_version() -> None:
    assert re.search(r"\d+\.\d+", ffmpeg_version())

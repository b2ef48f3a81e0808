"""`VideoDecoder` and `decode`: any frame alone, in any order, on any number of threads."""

from __future__ import annotations

import gc
import hashlib
import io
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch

import inrcodec
from inrcodec import _segment_codec, models
from inrcodec._decoder import VideoDecoder
from inrcodec._info import describe
from inrcodec._segment_codec import SegmentDecoder, read_segment
from inrcodec._source import SourceOptions, read_source
from inrcodec.bitstream import InrFile, TimeStamps, file_bytes
from inrcodec.errors import BitstreamError
from inrcodec.fitting import _precision
from inrcodec.metrics import psnr_db
from inrcodec.video import VideoReader, read_audio

ROOT = Path(__file__).resolve().parents[1]


def test_metadata(segmented_inr: Path) -> None:
    with VideoDecoder(segmented_inr) as decoder:
        metadata = decoder.metadata
        assert (metadata.width, metadata.height, metadata.num_frames) == (64, 48, 12)
        assert metadata.average_fps == 12
        assert metadata.duration_seconds == pytest.approx(1.0)
        assert metadata.pixel_aspect_ratio == Fraction(1)
        assert metadata.codec == "inr/hnervpp"
        assert metadata.num_audio_streams == 1
        assert metadata.bpp == pytest.approx(8.0, rel=0.02)
        assert len(decoder) == 12


@pytest.fixture(scope="module")
def variable_rate_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 frames, of two distances in time, in BT.709 with pixels that are not square."""
    clip = tmp_path_factory.mktemp("variable") / "variable.mkv"
    times = "setpts='if(lt(N,12),N/25,12/25+N-12)/TB'"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i"]
    filters = f"{times},setsar=4/3,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    command += ["testsrc2=s=64x48:r=25", "-frames:v", "16", "-vf", filters, "-fps_mode", "vfr"]
    command += ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709"]
    subprocess.run([*command, "-c:v", "ffv1", clip], check=True)
    return clip


@pytest.fixture(scope="module")
def variable_rate_inr(variable_rate_clip: Path) -> Path:
    file = variable_rate_clip.with_suffix(".inr")
    inrcodec.encode(variable_rate_clip, file, bpp=8.0, epochs=1)
    return file


@pytest.mark.parametrize(("ending", "error"), [("mp4", Fraction(0)), ("mkv", Fraction(1, 1000))])
def test_time_stamps_and_tags_come_back(
    ending: str,
    error: Fraction,
    variable_rate_clip: Path,
    variable_rate_inr: Path,
    tmp_path: Path,
) -> None:
    inrcodec.decode(variable_rate_inr, tmp_path / f"out.{ending}")
    source, decoded = VideoReader(variable_rate_clip), VideoReader(tmp_path / f"out.{ending}")
    times = [
        [frame.pts * reader.metadata.time_base for frame in reader] for reader in (source, decoded)
    ]
    assert len(times[0]) == len(times[1]) == 16
    assert times[0][12] - times[0][11] < Fraction(1, 10) < times[0][13] - times[0][12]
    for before, after in zip(*times, strict=True):
        assert abs(after - (before - times[0][0])) <= error
    assert decoded.metadata.color == source.metadata.color
    assert source.metadata.color.matrix == 1  # BT.709
    assert decoded.metadata.sample_aspect_ratio == Fraction(4, 3)


def test_the_rate_is_that_of_the_frames(variable_rate_inr: Path) -> None:
    """12 frames at 25 a second, then 3 of a second each and a last one: none has the average."""
    file = variable_rate_inr
    with VideoDecoder(file) as decoder:
        seconds = decoder.metadata.duration_seconds
        assert seconds == pytest.approx(3.52, abs=0.01)
        assert decoder.metadata.average_fps == pytest.approx(16 / seconds)
    for frames, rate in ((None, 16 / seconds), ((0, 12), 25), ((12, 16), 4 / 3.04)):
        out = io.BytesIO()
        with pytest.warns(UserWarning, match="matrix, 1 of H.273 .* which y4m .* cannot say"):
            inrcodec.decode(file, out, frames=frames)
        numerator, denominator = out.getvalue().split(b" F")[1].split(b" ")[0].split(b":")
        assert int(numerator) / int(denominator) == pytest.approx(rate, rel=0.01)


def test_indexing_follows_python(segmented_inr: Path) -> None:
    with VideoDecoder(segmented_inr) as decoder:
        everything = decoder[:]
        assert everything.shape == (12, 3, 48, 64)
        assert everything.dtype == torch.uint8
        assert decoder[7].shape == (3, 48, 64)
        _assert_same(decoder[-1], everything[11])
        _assert_same(decoder[9:2:-3], everything[[9, 6, 3]])
        assert decoder[5:5].shape == (0, 3, 48, 64)
        _assert_same(torch.stack(list(decoder)), everything)
        for index in (12, -13):
            with pytest.raises(IndexError, match="must be -12 to 11"):
                decoder[index]


def test_frames_come_with_their_times(segmented_inr: Path) -> None:
    with VideoDecoder(segmented_inr) as decoder:
        batch = decoder.get_frames_at([3, 1, -1])
        assert batch.pts_seconds.tolist() == pytest.approx([3 / 12, 1 / 12, 11 / 12])
        assert batch.duration_seconds.tolist() == pytest.approx([1 / 12] * 3)
        _assert_same(batch.data, decoder[:][[3, 1, 11]])
        assert [frame.pts_seconds for frame in batch] == batch.pts_seconds.tolist()
        assert decoder.get_frame_at(2).pts_seconds == pytest.approx(2 / 12)
        assert decoder.get_frame_played_at(0.3).pts_seconds == pytest.approx(3 / 12)
        batch = decoder.get_frames_played_at([0.3, 0.0, 0.99])
        assert batch.pts_seconds.tolist() == pytest.approx([3 / 12, 0, 11 / 12])
        _assert_same(batch.data, decoder[:][[3, 0, 11]])
        everything = decoder.get_frames_at(range(12)).pts_seconds
        assert decoder.get_frames_played_at(everything).pts_seconds.equal(everything)
        assert len(decoder.get_frames_played_at([])) == 0
        assert decoder.get_frames_in_range(2, 9, 3).pts_seconds.tolist() == pytest.approx(
            [2 / 12, 5 / 12, 8 / 12]
        )


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [(0.0, 1.0, range(12)), (0.26, 0.5, range(3, 6)), (0.25, 0.26, [3]), (0.3, 0.3, [])],
)
def test_frames_played_in_range(
    start: float, stop: float, frames: list[int], segmented_inr: Path
) -> None:
    with VideoDecoder(segmented_inr) as decoder:
        batch = decoder.get_frames_played_in_range(start, stop)
        assert batch.pts_seconds.tolist() == pytest.approx([i / 12 for i in frames])
        assert len(batch.data) == len(frames)


def test_times_and_ranges_outside_are_refused(segmented_inr: Path) -> None:
    with VideoDecoder(segmented_inr) as decoder:
        with pytest.raises(IndexError, match="must be within 0:12"):
            decoder.get_frames_in_range(3, 13)
        with pytest.raises(ValueError, match="step is 0"):
            decoder.get_frames_in_range(0, 3, 0)
        for seconds in (-0.1, 1.0, float("nan")):
            with pytest.raises(IndexError, match="time is"):
                decoder.get_frame_played_at(seconds)
            with pytest.raises(IndexError, match="time is"):
                decoder.get_frames_played_at([0.5, seconds])
        with pytest.raises(IndexError, match="must be within"):
            decoder.get_frames_played_in_range(0.5, 1.5)
        with pytest.raises(ValueError, match="must not end first"):
            decoder.get_frames_played_in_range(0.5, 0.4)


def test_a_frame_alone_is_the_frame_among_others(segmented_inr: Path) -> None:
    with VideoDecoder(segmented_inr) as decoder:
        together = decoder[:]
    for index in (0, 4, 5, 11):
        with VideoDecoder(segmented_inr) as decoder:
            _assert_same(decoder[index], together[index])


def test_other_thread_counts_give_the_same_frames(tiny_inr: Path) -> None:
    threads = torch.get_num_threads()
    decoded = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            with VideoDecoder(tiny_inr) as decoder:
                decoded.append(decoder[:])
    finally:
        torch.set_num_threads(threads)
    for frames in decoded[1:]:
        _assert_same(frames, decoded[0])


def test_the_same_call_repeats_its_pixels(tiny_inr: Path) -> None:
    first, second = (VideoDecoder(tiny_inr)[:] for _ in range(2))
    assert torch.equal(first, second)


_HASH = """
import hashlib, sys, torch
torch.set_num_threads(int(sys.argv[2]))
from inrcodec._decoder import VideoDecoder
from inrcodec._segment_codec import read_segment
from inrcodec.bitstream import InrFile
decoder = VideoDecoder(sys.argv[1])
file = InrFile(sys.argv[1])
quantized = read_segment(decoder.segment_config(0), file.segment(0), version=file.version)
weights = b"".join(w.tobytes() for w in quantized.weights())
print(hashlib.sha256(weights).hexdigest())
"""


def test_another_process_reads_the_same_weights(tiny_inr: Path, tmp_path: Path) -> None:
    with VideoDecoder(tiny_inr) as decoder, InrFile(tiny_inr) as file:
        config = decoder.segment_config(0)
        quantized = read_segment(config, file.segment(0), version=file.version)
    expected = hashlib.sha256(b"".join(w.tobytes() for w in quantized.weights())).hexdigest()
    command = [sys.executable, "-c", _HASH, str(tiny_inr), "1"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.strip() == expected


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_loses_little_at_35_db(precision: str) -> None:
    path = ROOT / "benchmarks" / "results" / "files" / "newer-bunny-flagship-600s-seed0.inr"
    cut = SourceOptions(crop=(1280, 640), resize=(640, 320), audio=False)
    source = read_source("bunny", cut, progress=lambda frames, _: frames).frames[::22]
    reference, lower = VideoDecoder(path)[::22], VideoDecoder(path, precision=precision)[::22]
    assert not torch.equal(lower, reference)  # else it is the same arithmetic
    reference_db, lower_db = (psnr_db(x, source).mean() for x in (reference, lower))
    assert float(reference_db) > 35
    assert float(reference_db - lower_db) < 0.05


@pytest.mark.parametrize(("has_bf16", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_is_bf16_where_the_device_has_it(
    has_bf16: bool, chosen: str, tiny_inr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_precision, "has_bf16", lambda: has_bf16)
    decoder = VideoDecoder(tiny_inr, device="cpu", precision="auto")
    assert decoder.precision == chosen
    assert torch.equal(decoder[:], VideoDecoder(tiny_inr, device="cpu", precision=chosen)[:])
    assert VideoDecoder(tiny_inr, device="cpu").precision == "fp32"


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_other_batch_sizes_give_the_same_frames(
    batch_size: int, tiny_inr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = VideoDecoder(tiny_inr)[:]
    monkeypatch.setattr(_segment_codec, "_batch_size", lambda *_: batch_size)
    _assert_same(VideoDecoder(tiny_inr)[:], expected)


def test_unknown_precision_and_device_are_refused(tiny_inr: Path) -> None:
    with pytest.raises(
        ValueError, match="precision is 'fp8', must be one of fp32, bf16, fp16, auto"
    ):
        VideoDecoder(tiny_inr, precision="fp8")
    with pytest.raises(ValueError, match="device is 'gpu'"):
        VideoDecoder(tiny_inr, device="gpu")


def test_bytes_decode_like_the_file(tiny_inr: Path) -> None:
    assert torch.equal(VideoDecoder(tiny_inr.read_bytes())[2], VideoDecoder(tiny_inr)[2])


def test_errors_name_the_file(tiny_inr: Path, tmp_path: Path) -> None:
    damaged = bytearray(tiny_inr.read_bytes())
    damaged[-20] ^= 1
    (tmp_path / "damaged.inr").write_bytes(damaged)
    with (
        VideoDecoder(tmp_path / "damaged.inr") as decoder,
        pytest.raises(BitstreamError, match=r"damaged\.inr: section SEGM is damaged"),
    ):
        decoder[0]


def test_only_the_segments_needed_are_read(segmented_inr: Path, tmp_path: Path) -> None:
    data = bytearray(segmented_inr.read_bytes())
    with InrFile(segmented_inr) as file:
        data[file._offsets[2] + 20] ^= 1  # damages the last segment
    with VideoDecoder(bytes(data)) as decoder:
        assert decoder[7].shape == (3, 48, 64)
        with pytest.raises(BitstreamError, match="SEGM is damaged"):
            decoder[11]


def test_decode_writes_frames_audio_and_times(
    segmented_inr: Path, clip_with_audio: Path, tmp_path: Path
) -> None:
    assert inrcodec.decode(segmented_inr, tmp_path / "out.mp4") == 12
    with VideoReader(tmp_path / "out.mp4") as reader:
        times = [frame.pts * reader.metadata.time_base for frame in reader]
    assert times == [Fraction(i, 12) for i in range(12)]
    (source,), (decoded,) = read_audio(clip_with_audio), read_audio(tmp_path / "out.mp4")
    assert [p.data for p in decoded.packets] == [p.data for p in source.packets]
    assert decoded.packets[0].pts * decoded.time_base == source.packets[0].pts * source.time_base


def test_decode_a_range_takes_the_audio_along(segmented_inr: Path, tmp_path: Path) -> None:
    assert inrcodec.decode(segmented_inr, tmp_path / "out.mp4", frames=(6, None)) == 6
    with av.open(str(tmp_path / "out.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        seconds = [float(s.duration * s.time_base) for s in (video, audio)]
    assert seconds[0] == pytest.approx(0.5)
    assert seconds[1] == pytest.approx(0.5, abs=0.05)


def test_decode_refuses_ranges_outside(segmented_inr: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames are 3:13, must be a range within 0:12"):
        inrcodec.decode(segmented_inr, tmp_path / "out.mp4", frames=(3, 13))
    assert list(tmp_path.iterdir()) == []


def _assert_same(a: torch.Tensor, b: torch.Tensor) -> None:
    """Equal but for single roundings of 1/255."""
    difference = np.abs(a.numpy().astype(int) - b.numpy().astype(int))
    assert difference.max(initial=0) <= 1
    assert (difference > 0).mean() < 0.001


def test_what_is_decoded_may_be_changed(tiny_inr: Path) -> None:
    with inrcodec.VideoDecoder(tiny_inr) as decoder:
        batch = decoder[0:2]
        batch[:, :, :10] = 0
        assert int(batch[:, :, :10].max()) == 0


def test_indices_are_integers(tiny_inr: Path) -> None:
    with inrcodec.VideoDecoder(tiny_inr) as decoder, pytest.raises(TypeError):
        decoder.get_frames_at([1.5])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("time_base", "timestamps"),
    [
        (Fraction(1, 10**9), TimeStamps(1_750_000_516_948_804_011, ((6, 40_000_000),))),
        (Fraction(1 << 31, 3), TimeStamps(1 << 61, ((6, 1 << 50),))),
        (Fraction(1 << 31), TimeStamps(-(1 << 61), ((6, 1 << 52),))),
    ],
)
def test_times_of_any_time_base(
    time_base: Fraction, timestamps: TimeStamps, tiny_inr: Path
) -> None:
    with InrFile(tiny_inr) as file:
        header = replace(file.header, time_base=time_base, timestamps=timestamps)
        data = file_bytes(header, [file.segment(0)])
    with VideoDecoder(data) as decoder:
        begin, end = (float(t * time_base) for t in (timestamps.first, timestamps.end))
        assert decoder.metadata.begin_stream_seconds == begin
        batch = decoder.get_frames_at(range(6))
        pts = [timestamps.first + i * timestamps.runs[0][1] for i in range(6)]
        assert batch.pts_seconds.tolist() == [float(t * time_base) for t in pts]
        assert batch.duration_seconds[0] == float(timestamps.runs[0][1] * time_base)
        assert torch.equal(decoder.get_frame_played_at(begin).data, batch.data[0])
        assert torch.equal(decoder.get_frames_played_in_range(begin, end).data, batch.data)
        played = decoder.get_frames_played_at(batch.pts_seconds)
        assert torch.equal(played.data, batch.data)


def test_a_dropped_decoder_closes_its_file_at_once(tiny_inr: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        decoder = VideoDecoder(tiny_inr)
        decoder[0]
        file = decoder._file._file
        dropped = [weakref.ref(decoder), weakref.ref(decoder._segment(0).network)]
        del decoder
        assert [reference() for reference in dropped] == [None, None]
        assert file.closed
    finally:
        gc.enable()


def test_a_closed_decoder_lets_go_of_its_networks(tiny_inr: Path) -> None:
    with VideoDecoder(tiny_inr) as decoder:
        decoder[0]
        network = weakref.ref(decoder._segment(0).network)
    gc.collect()
    assert network() is None
    assert decoder.metadata.num_frames == len(decoder)
    with pytest.raises(ValueError, match=r"\.inr: the decoder is closed"):
        decoder[0]


def test_threads_load_a_segment_once(segmented_inr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, load = [], VideoDecoder._load_segment

    def count(decoder: VideoDecoder, index: int) -> SegmentDecoder:
        loaded.append(index)
        return load(decoder, index)

    monkeypatch.setattr(VideoDecoder, "_load_segment", count)
    with VideoDecoder(segmented_inr) as decoder, ThreadPoolExecutor(4) as threads:
        frames = list(threads.map(decoder.__getitem__, [0, 4, 0, 4, 1, 5, 2, 6]))
        assert sorted(loaded) == [0, 1]
        _assert_same(torch.stack(frames), decoder[:][[0, 4, 0, 4, 1, 5, 2, 6]])


def test_few_segments_are_held(segmented_inr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec._decoder._SEGMENTS_HELD", 2)
    with VideoDecoder(segmented_inr) as decoder:
        first = decoder._segment(0)
        decoder._segment(1)
        assert decoder._segment(0) is first
        decoder._segment(2)  # in place of 1, which was used before 0
        assert decoder._segment(0) is first
        assert list(decoder._held) == [2, 0]


def test_loading_draws_no_random_numbers(tiny_inr: Path) -> None:
    before = torch.get_rng_state()
    VideoDecoder(tiny_inr)[0]
    assert torch.equal(torch.get_rng_state(), before)

    is_over, drawn = threading.Event(), []

    def draw() -> None:
        while not is_over.is_set():
            drawn.append(int(torch.randint(1 << 62, ())))

    with ThreadPoolExecutor(1) as threads:
        drawing = threads.submit(draw)
        for _ in range(40):
            VideoDecoder(tiny_inr)._segment(0)
        is_over.set()
        drawing.result()
    assert len(set(drawn)) == len(drawn) > 40


@pytest.mark.parametrize("model", models.names())
def test_a_network_is_loaded_as_one_that_was_filled(model: str) -> None:
    path = Path(__file__).parent / "golden" / f"v3-{model}.inr"
    with VideoDecoder(path, device="cpu") as decoder, InrFile(path) as file:
        config = decoder.segment_config(0)
        quantized = read_segment(config, file.segment(0), version=file.version)
        network = config.build(with_encoder=False)
        parameters = list(network.decoder.parameters())
        weights = [torch.from_numpy(w) for w in quantized.weights()]
        for parameter, values in zip(parameters, weights, strict=False):
            parameter.data.copy_(values.view_as(parameter))
        held = decoder._segment(0)
        filled = SegmentDecoder(network, held.embeddings, device=torch.device("cpu"))
        indices = range(config.num_frames)
        assert torch.equal(held.decode(indices), filled.decode(indices))


def test_audio_that_is_not_written_need_not_be_sound(segmented_inr: Path, tmp_path: Path) -> None:
    data = bytearray(segmented_inr.read_bytes())
    data[-20] ^= 1
    damaged = tmp_path / "damaged.inr"
    damaged.write_bytes(data)
    for output in (tmp_path / "%d.png", tmp_path / "a.y4m", tmp_path / "a.yuv", io.BytesIO()):
        assert inrcodec.decode(damaged, output) == 12
    assert inrcodec.decode(damaged, tmp_path / "a.mp4", audio=False) == 12
    with pytest.raises(BitstreamError, match="section AUDI is damaged"):
        inrcodec.decode(damaged, tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_another_default_dtype_changes_no_pixel(dtype: torch.dtype) -> None:
    path = Path(__file__).parent / "golden" / "v2-hnervpp-motion.inr"
    with VideoDecoder(path, device="cpu") as decoder:
        expected = decoder[3]
    torch.set_default_dtype(dtype)
    try:
        with VideoDecoder(path, device="cpu") as decoder:
            assert torch.equal(decoder[3], expected)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_segment_is_looked_into_before_the_next_is_configured(
    segmented_inr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    configure = VideoDecoder.segment_config

    def segment_config(self: VideoDecoder, index: int) -> models.NetworkConfig:
        asked.append(index)
        return configure(self, index)

    monkeypatch.setattr(VideoDecoder, "segment_config", segment_config)
    monkeypatch.setattr(InrFile, "segment", lambda self, index, **_: b"")
    with pytest.raises(BitstreamError):
        describe(segmented_inr)
    assert asked == [0]

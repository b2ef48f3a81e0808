"""Passed-through audio: byte for byte back, and one refusal for every field."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgpack
import pytest

from inrcodec.bitstream import pack_audio, unpack_audio
from inrcodec.errors import BitstreamError, VideoError
from inrcodec.video import AudioPacket, AudioStream

GOOD: dict[str, Any] = {
    "codec": "aac",
    "time_base": [1, 48000],
    "sample_rate": 48000,
    "channels": 2,
    "layout": "stereo",
    "bit_rate": 128000,
    "language": "deu",
    "extradata": b"\x11\x90",
    "packets": [0, 0, 1024, 1, 3, 1024, 0, 1024, 0, 2],
}
DATA = b"abcde"
MISSING = object()
DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]


def payload(data: bytes = DATA, **changes: object) -> bytes:
    fields = {k: v for k, v in {**GOOD, **changes}.items() if v is not MISSING}
    packed = msgpack.packb(fields)
    assert 128 <= len(packed) < 1 << 14 or len(packed) < 128
    length = bytes([len(packed) & 127 | 128, len(packed) >> 7])
    return (length if len(packed) >= 128 else bytes([len(packed)])) + packed + data


def test_round_trip(audio_stream: AudioStream) -> None:
    assert unpack_audio(pack_audio(audio_stream)) == audio_stream


def test_bytes_are_read_as_documented() -> None:
    stream = unpack_audio(payload())
    assert stream == AudioStream(
        codec="aac",
        time_base=Fraction(1, 48000),
        sample_rate=48000,
        channels=2,
        layout="stereo",
        bit_rate=128000,
        extradata=b"\x11\x90",
        language="deu",
        packets=[
            AudioPacket(0, 0, 1024, True, b"abc"),
            AudioPacket(1024, 1024, 1024, False, b"de"),
        ],
    )
    assert pack_audio(stream)[2:].endswith(DATA)


def test_no_packets(audio_stream: AudioStream) -> None:
    silent = replace(audio_stream, packets=[], extradata=b"", layout="", language="", bit_rate=0)
    assert unpack_audio(pack_audio(silent)) == silent


def test_an_hour_of_aac(audio_stream: AudioStream) -> None:
    packets = [
        AudioPacket(1024 * i, 1024 * i, 1024, True, b"x") for i in range(48000 * 3600 // 1024)
    ]
    stream = replace(audio_stream, packets=packets)
    assert unpack_audio(pack_audio(stream)) == stream


def test_five_hours_of_opus(audio_stream: AudioStream) -> None:
    packet = AudioPacket(0, 0, 960, True, b"x")
    stream = replace(audio_stream, packets=[packet] * 900_000)
    assert unpack_audio(pack_audio(stream)) == stream


def test_more_packets_than_the_format_has_room_for(audio_stream: AudioStream) -> None:
    packet = AudioPacket(0, 0, 960, True, b"x")
    with pytest.raises(VideoError, match=r"of up to 1048576 packets; .*\(--no-audio, audio=False"):
        pack_audio(replace(audio_stream, packets=[packet] * ((1 << 20) + 1)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"duration": (1 << 31) + 1}, "audio: a duration is 2147483649"),
        ({"pts": (1 << 62) + 1}, "audio: a packet's field is 4611686018427387905"),
        ({"pts": 1 << 64, "dts": 0}, "nteger"),
        ({"data": b""}, "audio: a packet's size is 0"),
    ],
)
def test_packets_that_no_decoder_would_accept(
    audio_stream: AudioStream, change: dict[str, Any], words: str
) -> None:
    packet = replace(AudioPacket(0, 0, 1024, True, b"abc"), **change)
    with pytest.raises(VideoError, match=f"{words}.*--no-audio"):
        pack_audio(replace(audio_stream, packets=[packet]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_rate": 0}, "'sample_rate' is 0"),
        ({"channels": 65}, "'channels' is 65"),
        ({"extradata": b"x" * (1 << 24)}, "audio: map of 16777"),
    ],
)
def test_a_stream_that_no_decoder_would_accept(
    audio_stream: AudioStream, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(VideoError, match=f"{words}.*--no-audio"):
        pack_audio(replace(audio_stream, **change))


@pytest.mark.parametrize("field", GOOD)
def test_missing_field(field: str) -> None:
    with pytest.raises(BitstreamError, match="audio: fields must be bit_rate, channels"):
        unpack_audio(payload(**{field: MISSING}))


def test_unknown_field() -> None:
    with pytest.raises(BitstreamError, match="audio: fields must be bit_rate, channels"):
        unpack_audio(payload(comment="hello"))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("codec", 5, "'codec' must be a text"),
        ("codec", b"aac", "'codec' must be a text"),
        ("layout", None, "'layout' must be a text"),
        ("language", ["deu"], "'language' must be a text"),
        ("sample_rate", 48000.0, "'sample_rate' is 48000.0, must be an integer"),
        ("sample_rate", -1, "'sample_rate' is -1, must be an integer"),
        ("sample_rate", 1 << 40, "'sample_rate' is 1099511627776, must be an integer"),
        ("channels", "2", "'channels' is a str, must be an integer"),
        ("channels", True, "'channels' is True, must be an integer"),
        ("sample_rate", 0, "'sample_rate' is 0, must be an integer 1 to 2147483648"),
        ("channels", 0, "'channels' is 0, must be an integer 1 to 64"),
        ("channels", 65, "'channels' is 65, must be an integer 1 to 64"),
        ("channels", DEEP, "'channels' is a list, must be an integer"),
        ("bit_rate", -1, "'bit_rate' is -1, must be an integer"),
        ("extradata", "text", "'extradata' must be bytes"),
        ("time_base", 5, "'time_base' must be two integers"),
        ("time_base", [1], "'time_base' must be two integers"),
        ("time_base", [1, 2, 3], "'time_base' must be two integers"),
        ("time_base", [1, 0], "'time_base' is 0, must be an integer"),
        ("time_base", [-1, 48000], "'time_base' is -1, must be an integer"),
        ("packets", 5, "'packets' must list 5 integers a packet"),
        ("packets", {}, "'packets' must list 5 integers a packet"),
        ("packets", [0, 0, 1024, 1], "'packets' must list 5 integers a packet"),
        ("packets", [0.0, 0, 1024, 1, 5], "a packet's field is 0.0, must be an integer"),
        ("packets", [0, 0, [], 1, 5], "a packet's field is a list, must be an integer"),
        ("packets", [1 << 63, 0, 0, 1, 5], "a packet's field is 9223372036854775808, must be"),
        ("packets", [1 << 62, 0, 0, 1, 5, 1, 0, 0, 1, 0], "a time stamp is 4611686018427387905"),
        ("packets", [1 << 62, -1, 0, 1, 5], "a decoding time stamp is 4611686018427387905"),
        ("packets", [1 << 62, -1 << 62, 0, 1, 5], "a decoding time stamp is -9223372036854775808"),
        ("packets", [0, 0, -1, 1, 5], "a duration is -1, must be an integer"),
        ("packets", [0, 0, 1024, 2, 5], "a key flag is 2, must be an integer 0 to 1"),
        ("packets", [0, 0, 1024, -1, 5], "a key flag is -1, must be an integer 0 to 1"),
        ("packets", [0, 0, 1024, True, 5], "a packet's field is True, must be an integer"),
        ("packets", [0, 0, 1024, 1, -5], "a packet's size is -5, must be an integer"),
        ("packets", [0, 0, 1024, 1, 0], "a packet's size is 0, must be an integer 1 to"),
        ("packets", [0, 0, 1024, 1, 6], "audio wants 6 more bytes and has 5"),
        ("packets", [0, 0, 1024, 1, 1 << 31], "audio wants 2147483648 more bytes and has 5"),
        ("packets", [0, 0, 1024, 1, 4], "audio has 1 bytes too many"),
        ("packets", [], "audio has 5 bytes too many"),
    ],
)
def test_refusal(field: str, value: object, words: str) -> None:
    with pytest.raises(BitstreamError, match=words):
        unpack_audio(payload(**{field: value}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "audio wants 1 more bytes and has 0"),
        (b"\x05\x80", "audio wants 5 more bytes and has 1"),
        (b"\xff\xff\xff\xff\x0f", "audio: map of 4294967295 bytes, must be <= 16777216"),
        (b"\xff\xff\xff\xff\xff\xff", "audio holds an integer out of form"),
        (b"\x00", "audio is not well-formed msgpack"),
        (b"\x01\x90", "audio: must be a map"),
        (b"\x01\xc1", "audio: must be a map"),
        (b"\x02\x80\x80", "audio is not well-formed msgpack"),
        (b"\x01\x80", "audio: fields must be"),
        (b"\xe8\x07" + b"\x91" * 1000, "audio: must be a map"),
        (b"\x05\xdd\xff\xff\xff\xff", "audio: must be a map"),
        (b"\x05\xdf\xff\xff\xff\xff", "audio is not well-formed msgpack"),
    ],
)
def test_no_map(data: bytes, words: str) -> None:
    with pytest.raises(BitstreamError, match=words):
        unpack_audio(data)


def test_every_truncation(audio_stream: AudioStream) -> None:
    data = pack_audio(audio_stream)
    for length in range(len(data)):
        with pytest.raises(BitstreamError, match="audio"):
            unpack_audio(data[:length])

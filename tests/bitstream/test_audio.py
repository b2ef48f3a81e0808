"""Passed-through audio: byte for byte back, and one refusal for every field."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgpack
import pytest

from inrcodec.bitstream import pack_audio, unpack_audio
from inrcodec.errors import BitstreamError
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
        ("channels", "2", "'channels' is 2, must be an integer"),
        ("channels", True, "'channels' is True, must be an integer"),
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
        ("packets", [0, 0, [], 1, 5], r"a packet's field is \[\], must be an integer"),
        ("packets", [1 << 63, 0, 0, 1, 5], "a packet's field is 9223372036854775808, must be"),
        ("packets", [1 << 62, 0, 0, 1, 5, 1, 0, 0, 1, 0], "a time stamp is 4611686018427387905"),
        ("packets", [0, 0, -1, 1, 5], "a duration is -1, must be an integer"),
        ("packets", [0, 0, 1024, 2, 5], "a key flag is 2, must be an integer 0 to 1"),
        ("packets", [0, 0, 1024, -1, 5], "a key flag is -1, must be an integer 0 to 1"),
        ("packets", [0, 0, 1024, True, 5], "a packet's field is True, must be an integer"),
        ("packets", [0, 0, 1024, 1, -5], "a packet's size is -5, must be an integer"),
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
        (b"\x01\xc1", "audio is not well-formed msgpack"),
        (b"\x02\x80\x80", "audio is not well-formed msgpack"),
        (b"\x01\x80", "audio: fields must be"),
        (b"\xe8\x07" + b"\x91" * 1000, "audio is not well-formed msgpack"),
        (b"\x05\xdd\xff\xff\xff\xff", "audio is not well-formed msgpack"),
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

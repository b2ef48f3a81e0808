"""One audio stream, passed through: its codec parameters and its packets, byte for byte.

In: an `AudioStream` as the reader of the source gives it. Out: the payload of section AUDI - the
length of a msgpack map, the map, then the packets' data end to end - and back.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgpack

from inrcodec.bitstream._header import check_integer, unpack_msgpack
from inrcodec.bitstream._varint import ByteReader, uvarint
from inrcodec.errors import BitstreamError

if TYPE_CHECKING:
    from inrcodec.video import AudioStream

_MAX_INT = 1 << 31
_MAX_PTS = 1 << 62
MAX_MAP_BYTES = 1 << 24
_TEXTS = ("codec", "layout", "language")
_INTEGERS = ("sample_rate", "channels", "bit_rate")
_FIELDS_A_PACKET = 5


def pack_audio(stream: AudioStream) -> bytes:
    """Return the payload of a section AUDI."""
    fields: dict[str, Any] = {name: getattr(stream, name) for name in _TEXTS + _INTEGERS}
    fields["time_base"] = [stream.time_base.numerator, stream.time_base.denominator]
    fields["extradata"] = stream.extradata
    fields["packets"] = []
    previous = 0
    for packet in stream.packets:
        fields["packets"] += [
            packet.pts - previous,
            packet.pts - packet.dts,
            packet.duration,
            int(packet.is_keyframe),
            len(packet.data),
        ]
        previous = packet.pts
    packed: bytes = msgpack.packb(fields)
    return uvarint(len(packed)) + packed + b"".join(packet.data for packet in stream.packets)


def unpack_audio(data: bytes) -> AudioStream:
    """Read the payload of a section AUDI: the inverse of `pack_audio`.

    Raises:
        BitstreamError: what is wrong.
    """
    from inrcodec.video import AudioStream

    reader = ByteReader(data, "audio")
    length = reader.uvarint()
    if length > MAX_MAP_BYTES:
        raise BitstreamError(f"audio: map of {length} bytes, must be <= {MAX_MAP_BYTES}")
    fields = unpack_msgpack(reader.take(length), "audio")
    if not isinstance(fields, dict):
        raise BitstreamError("audio: must be a map")
    expected = {*_TEXTS, *_INTEGERS, "time_base", "extradata", "packets"}
    if set(fields) != expected:
        raise BitstreamError(f"audio: fields must be {', '.join(sorted(expected))}")
    for name in _TEXTS:
        if not isinstance(fields[name], str):
            raise BitstreamError(f"audio: {name!r} must be a text")
    for name in _INTEGERS:
        check_integer(fields[name], f"audio: {name!r}", 0, _MAX_INT)
    if not isinstance(fields["extradata"], bytes):
        raise BitstreamError("audio: 'extradata' must be bytes")
    time_base = fields["time_base"]
    if not isinstance(time_base, list) or len(time_base) != 2:
        raise BitstreamError("audio: 'time_base' must be two integers")
    top, bottom = (check_integer(n, "audio: 'time_base'", 1, _MAX_INT) for n in time_base)
    stream = AudioStream(
        **{name: fields[name] for name in (*_TEXTS, *_INTEGERS, "extradata")},
        time_base=Fraction(top, bottom),
    )
    stream.packets.extend(_packets(fields["packets"], reader))
    reader.end()
    return stream


def _packets(flat: object, reader: ByteReader) -> list[Any]:
    from inrcodec.video import AudioPacket

    if not isinstance(flat, list) or len(flat) % _FIELDS_A_PACKET:
        raise BitstreamError(f"audio: 'packets' must list {_FIELDS_A_PACKET} integers a packet")
    packets = []
    pts = 0
    for i in range(0, len(flat), _FIELDS_A_PACKET):
        step, lead, duration, key, size = (
            check_integer(n, "audio: a packet's field", -_MAX_PTS, _MAX_PTS)
            for n in flat[i : i + _FIELDS_A_PACKET]
        )
        pts += step
        check_integer(pts, "audio: a time stamp", -_MAX_PTS, _MAX_PTS)
        check_integer(duration, "audio: a duration", 0, _MAX_INT)
        check_integer(key, "audio: a key flag", 0, 1)
        data = reader.take(check_integer(size, "audio: a packet's size", 0, _MAX_INT))
        packets.append(AudioPacket(pts, pts - lead, duration, bool(key), data))
    return packets

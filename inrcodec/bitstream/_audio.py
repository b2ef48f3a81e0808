"""One audio stream, passed through: its codec parameters and its packets, byte for byte.

In: an `AudioStream` as the reader of the source gives it. Out: the payload of section AUDI - the
length of a msgpack map, the map, then the packets' data end to end - and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._msgpack import MAX_PTS, LongList, check_integer, unpack_map
from inrcodec.bitstream._varint import ByteReader, uvarint
from inrcodec.errors import BitstreamError, VideoError

if TYPE_CHECKING:
    from inrcodec.video import AudioStream

MAX_MAP_BYTES = 1 << 24
MAX_PACKETS = 1 << 20  # half a second to read
_MAX_INT = 1 << 31
_MAX_SECTION_BYTES = (1 << 32) - 1
_TEXTS = ("codec", "layout", "language")
_INTEGERS = {"sample_rate": (1, _MAX_INT), "channels": (1, 64), "bit_rate": (0, _MAX_INT)}
_FIELDS_A_PACKET = 5
_BLOCK = 1 << 14  # packets at once
_PACKETS = LongList(
    _FIELDS_A_PACKET * MAX_PACKETS,
    f"'packets' must list {_FIELDS_A_PACKET} integers a packet, of up to {MAX_PACKETS} packets",
    "a packet's field",
)


def pack_audio(stream: AudioStream) -> bytes:
    """Return the payload of a section AUDI.

    Raises:
        VideoError: the format has no room for the stream.
    """
    fields: dict[str, Any] = {name: getattr(stream, name) for name in (*_TEXTS, *_INTEGERS)}
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
    try:
        packed: bytes = msgpack.packb(fields)
        data = uvarint(len(packed)) + packed + b"".join(packet.data for packet in stream.packets)
        _read(ByteReader(data, "audio"))
        if len(data) > _MAX_SECTION_BYTES:
            raise BitstreamError(f"audio: {len(data)} bytes, must be <= {_MAX_SECTION_BYTES}")
    except (BitstreamError, OverflowError, ValueError) as exc:
        raise VideoError(f"{exc}; encode without it (--no-audio, audio=False)") from exc
    return data


def unpack_audio(data: bytes) -> AudioStream:
    """Read the payload of a section AUDI: the inverse of `pack_audio`.

    Raises:
        BitstreamError: what is wrong.
    """
    from inrcodec.video import AudioPacket, AudioStream

    reader = ByteReader(data, "audio")
    fields, packets = _read(reader)
    stream = AudioStream(
        **{name: fields[name] for name in (*_TEXTS, *_INTEGERS, "extradata")},
        time_base=Fraction(*fields["time_base"]),
    )
    for begin in range(0, packets.shape[1], _BLOCK):
        for pts, dts, duration, key, size in packets[:, begin : begin + _BLOCK].T.tolist():
            packet = AudioPacket(pts, dts, duration, bool(key), reader.take(size))
            stream.packets.append(packet)
    return stream


def _read(reader: ByteReader) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """Read and check all but the packets' data, which are left.

    Returns:
        The map, and pts, dts, durations, key flags and sizes, `(5, n)`.
    """
    length = reader.uvarint()
    if length > MAX_MAP_BYTES:
        raise BitstreamError(f"audio: map of {length} bytes, must be <= {MAX_MAP_BYTES}")
    fields: dict[str, Any] = unpack_map(reader.take(length), "audio", {"packets": _PACKETS})
    _check_fields(fields)
    packets = _checked_packets(fields.pop("packets"))
    num_bytes, left = int(packets[-1].sum()), len(reader.data) - reader.position
    if num_bytes > left:
        raise BitstreamError(f"audio wants {num_bytes} more bytes and has {left}")
    if num_bytes < left:
        raise BitstreamError(f"audio has {left - num_bytes} bytes too many")
    return fields, packets


def _check_fields(fields: Mapping[str, Any]) -> None:
    expected = {*_TEXTS, *_INTEGERS, "time_base", "extradata", "packets"}
    if set(fields) != expected:
        raise BitstreamError(f"audio: fields must be {', '.join(sorted(expected))}")
    for name in _TEXTS:
        if not isinstance(fields[name], str):
            raise BitstreamError(f"audio: {name!r} must be a text")
    for name, (low, high) in _INTEGERS.items():
        check_integer(fields[name], f"audio: {name!r}", low, high)
    if not isinstance(fields["extradata"], bytes):
        raise BitstreamError("audio: 'extradata' must be bytes")
    time_base = fields["time_base"]
    if not isinstance(time_base, list) or len(time_base) != 2:
        raise BitstreamError("audio: 'time_base' must be two integers")
    for number in time_base:
        check_integer(number, "audio: 'time_base'", 1, _MAX_INT)


def _checked_packets(flat: NDArray[np.int64]) -> NDArray[np.int64]:
    if flat.size % _FIELDS_A_PACKET:
        raise BitstreamError(f"audio: {_PACKETS.rule}")
    packets = flat.reshape(-1, _FIELDS_A_PACKET).T
    # Sums of two numbers within +-2**62: one of 2**63 turns negative, and is refused all the same.
    pts, dts, *_ = packets
    np.cumsum(pts, out=pts)
    np.subtract(pts, dts, out=dts)
    limits = (
        ("a time stamp", -MAX_PTS, MAX_PTS),
        ("a decoding time stamp", -MAX_PTS, MAX_PTS),
        ("a duration", 0, _MAX_INT),
        ("a key flag", 0, 1),
        ("a packet's size", 1, _MAX_INT),
    )
    for values, (what, low, high) in zip(packets, limits, strict=True):
        outside = np.flatnonzero((values < low) | (values > high))
        if outside.size:
            check_integer(int(values[outside[0]]), f"audio: {what}", low, high)
    return packets

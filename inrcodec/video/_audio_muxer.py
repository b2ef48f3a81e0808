"""Audio packets muxed into an output, untouched and in step with the video."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream as AvAudioStream
from av.container import OutputContainer
from av.packet import Packet

from inrcodec.errors import VideoError
from inrcodec.video._audio import PRIMED
from inrcodec.video._matroska import CODEC_IDS, stub_file
from inrcodec.video._types import AudioPacket, AudioStream

# FFmpeg's own, for streams that do not say: MP4 refuses channels without a place.
_DEFAULT_LAYOUTS = {
    1: "mono",
    2: "stereo",
    3: "2.1",
    4: "4.0",
    5: "5.0",
    6: "5.1",
    7: "6.1",
    8: "7.1",
}


# Encoders' delays: 2112 samples of Apple's AAC are two whole packets before the first frame.
_MAX_PRIMING_PACKETS = 2

_MAX_INT = 2**31 - 1
_MAX_CHANNELS = 64
_MAX_SECONDS = 10**8  # three years


class AudioMuxer:
    """Feeds audio packets into an output, in step with the video.

    Args:
        container: the output, before its header is written.
        streams: what to mux.
        target: printable name of the output.

    Raises:
        VideoError: the container cannot carry a codec, or a stream's parameters are damaged.
    """

    def __init__(
        self, container: OutputContainer, streams: Sequence[AudioStream], *, target: str
    ) -> None:
        self._container = container
        self._streams = [_add_stream(container, stream, target=target) for stream in streams]
        self._queue = sorted(
            (packet.dts * stream.time_base, number, index)
            for number, stream in enumerate(streams)
            for index, packet in enumerate(stream.packets)
        )
        self._sources = streams
        self._next = 0

    def mux_until(self, seconds: Fraction | None, *, origin_seconds: Fraction) -> None:
        """Mux the packets due before `seconds` of the output (all when None).

        `origin_seconds` is the moment of the source that becomes 0 in the output.
        """
        while self._next < len(self._queue):
            due, number, index = self._queue[self._next]
            if seconds is not None and due - origin_seconds > seconds:
                return
            source = self._sources[number]
            packet = _av_packet(source.packets[index], source.time_base, origin_seconds)
            packet.stream = self._streams[number]
            self._container.mux(packet)
            self._next += 1


def origin_of(first_pts_seconds: Fraction, streams: Sequence[AudioStream]) -> Fraction:
    """Return the moment of the source that becomes 0 in the output.

    It is the first frame's. Packets that prime the decoder or sound across that moment start
    before 0 (containers know how to hide that); where more of a stream precedes the first frame,
    that is sound: the end of its first packet is the moment instead, and the video starts later.
    """
    moment = first_pts_seconds
    for stream in streams:
        ends = [(packet.pts + packet.duration) * stream.time_base for packet in stream.packets]
        allowed = _MAX_PRIMING_PACKETS if stream.codec in PRIMED else 0
        if sum(end <= first_pts_seconds for end in ends) > allowed:
            moment = min(moment, ends[0])
    return moment


def _add_stream(container: OutputContainer, stream: AudioStream, *, target: str) -> AvAudioStream:
    if stream.codec not in CODEC_IDS:
        raise VideoError(f"{target}: audio codec {stream.codec} cannot be muxed")
    _check(stream, target)
    try:
        with av.open(io.BytesIO(stub_file(stream)), mode="r", format="matroska") as stub:
            template = stub.streams.audio[0]
            out: AvAudioStream = container.add_stream_from_template(template, opaque=True)
    except ValueError as exc:  # also what FFmpeg calls invalid data
        if isinstance(exc, av.FFmpegError):
            raise VideoError(f"{target}: damaged {stream.codec} audio parameters: {exc}") from exc
        raise VideoError(
            f"{target}: {container.format.name} cannot carry {stream.codec} audio; "
            "write an .mkv, or leave the audio out (--no-audio)"
        ) from exc
    except (av.FFmpegError, IndexError) as exc:
        raise VideoError(f"{target}: damaged {stream.codec} audio parameters: {exc}") from exc
    out.codec_context.extradata = stream.extradata or None
    layout = stream.layout or _DEFAULT_LAYOUTS.get(stream.channels)
    if layout:
        out.codec_context.layout = layout
    if stream.bit_rate:
        out.codec_context.bit_rate = stream.bit_rate
    out.time_base = stream.time_base
    if stream.language:
        out.metadata["language"] = stream.language
    return out


def _check(stream: AudioStream, target: str) -> None:
    """Refuse numbers that FFmpeg would not survive: a stream may come from a damaged file."""
    tick = stream.time_base
    is_sound = (
        0 < stream.sample_rate <= _MAX_INT
        and 0 < stream.channels <= _MAX_CHANNELS
        and 0 <= stream.bit_rate <= _MAX_INT
        and 0 < tick.numerator <= _MAX_INT
        and tick.denominator <= _MAX_INT
        and all(
            max(abs(packet.pts), abs(packet.dts)) * tick < _MAX_SECONDS
            and 0 <= packet.duration <= _MAX_INT
            and packet.data
            for packet in stream.packets
        )
    )
    if not is_sound:
        raise VideoError(f"{target}: damaged {stream.codec} audio: a number is out of range")


def _av_packet(source: AudioPacket, time_base: Fraction, origin_seconds: Fraction) -> Packet[Any]:
    shift = round(origin_seconds / time_base)
    packet = Packet(source.data)
    packet.time_base = time_base
    packet.pts, packet.dts = source.pts - shift, source.dts - shift
    packet.duration = source.duration
    packet.is_keyframe = source.is_keyframe
    return packet

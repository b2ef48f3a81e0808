"""Audio packets, read from a source as they are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream as AvAudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

from inrcodec.errors import VideoError
from inrcodec.video._containers import open_container
from inrcodec.video._images import is_pattern
from inrcodec.video._matroska import CODEC_IDS
from inrcodec.video._types import AudioPacket, AudioStream

# Whose decoders make sound of a packet together with the one before.
PRIMED = {"aac", "mp3", "opus"}
# Stamps that go back by more are of a clock that begins anew.
_MOST_JITTER_SECONDS = 0.5


def read_audio(
    source: str | Path,
    *,
    start_seconds: Fraction | None = None,
    end_seconds: Fraction | None = None,
) -> list[AudioStream]:
    """Read the audio packets that sound between two moments (`cut_audio`), bytes untouched.

    Args:
        source: as for `VideoReader`; images and raw video have no audio, which gives `[]`.
        start_seconds: on the clock of the video's time stamps (`pts * time_base`); None keeps all
            from the beginning, with the packets that only prime the decoder.
        end_seconds: likewise; a packet that starts at that very moment is left out.

    Returns:
        The streams that have packets left, in the order of the file.

    Raises:
        VideoError: the file cannot be opened or read, or holds a codec that cannot be muxed again.
    """
    name = str(source)
    path = Path(name)
    if path.is_dir() or (is_pattern(name) and not path.exists()) or path.suffix.lower() == ".yuv":
        return []
    with open_container(name) as container:
        streams = {stream.index: _describe(stream, name) for stream in container.streams.audio}
        ends = {
            index: None if end_seconds is None else end_seconds / stream.time_base
            for index, stream in streams.items()
        }
        offsets = dict.fromkeys(streams, 0)
        try:
            for packet in _packets(container, ends) if streams else ():
                stream_index = packet.stream_index
                stream = streams[stream_index]
                kept = _kept(packet, stream, name, offset=offsets[stream_index])
                if kept is None:
                    continue
                if missing := _ticks_back(kept, stream):
                    offsets[stream_index] += missing
                    kept = replace(kept, pts=kept.pts + missing, dts=kept.dts + missing)
                stream.packets.append(kept)
        except (av.FFmpegError, OSError) as exc:
            raise VideoError(f"{name}: its audio cannot be read: {exc}") from exc
    cut = [cut_audio(stream, start_seconds, end_seconds) for stream in streams.values()]
    return [stream for stream in cut if stream.packets]


def cut_audio(stream: AudioStream, start: Fraction | None, end: Fraction | None) -> AudioStream:
    """Return a stream with the packets that sound between two moments, in seconds of its clock.

    One that starts at the end is left out; before the first comes the one that primes the decoder,
    where the codec wants it. None is the stream's own start or end.
    """
    packets, tick = stream.packets, stream.time_base
    # In whole ticks, since there may be a million packets.
    after = -math.inf if start is None else math.floor(start / tick)
    before = math.inf if end is None else math.ceil(end / tick)
    sounding = [
        i
        for i, packet in enumerate(packets)
        # One of unknown duration counts as one tick long.
        if packet.pts + max(packet.duration, 1) > after and packet.pts < before
    ]
    if sounding and sounding[0] > 0 and stream.codec in PRIMED:
        sounding.insert(0, sounding[0] - 1)
    return replace(stream, packets=[packets[i] for i in sounding])


def _describe(stream: AvAudioStream, source: str) -> AudioStream:
    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else "unknown"
    if context is None or codec not in CODEC_IDS:
        raise VideoError(
            f"{source}: audio codec {codec} cannot be passed through; leave it out (--no-audio), "
            "or convert it first: ffmpeg -i IN -c:v copy -c:a aac OUT.mkv"
        )
    language = stream.metadata.get("language", "")
    layout = context.layout.name  # "6 channels" when the source does not say which
    return AudioStream(
        codec=codec,
        time_base=Fraction(stream.time_base or Fraction(1, context.sample_rate)),
        sample_rate=context.sample_rate,
        channels=context.layout.nb_channels,
        layout="" if layout.endswith(" channels") else layout,
        bit_rate=context.bit_rate or 0,
        extradata=context.extradata or b"",
        language="" if language == "und" else language,
    )


def _packets(
    container: InputContainer, ends: dict[int, Fraction | None]
) -> Iterator[Packet[AvAudioStream]]:
    """Yield the packets of the audio streams until each stream has passed its end (in pts)."""
    for stream in container.streams:
        stream.discard = Discard.default if stream.index in ends else Discard.all
    open_streams = set(ends)
    for packet in container.demux(container.streams.audio):
        if packet.size == 0:  # the end of the file
            continue
        end = ends[packet.stream_index]
        if end is not None and packet.pts is not None and packet.pts >= end:
            open_streams.discard(packet.stream_index)
            if not open_streams:
                return
        else:
            yield packet


def _ticks_back(packet: AudioPacket, stream: AudioStream) -> int:
    """Return how far a packet lies before the end of the last one, if its clock begins anew."""
    if not stream.packets:
        return 0
    last = stream.packets[-1]
    has_jumped = (last.pts - packet.pts) * stream.time_base > _MOST_JITTER_SECONDS
    return last.pts + last.duration - packet.pts if has_jumped else 0


def _kept(
    packet: Packet[AvAudioStream], stream: AudioStream, source: str, *, offset: int
) -> AudioPacket | None:
    if packet.is_corrupt:
        warnings.warn(f"{source}: a damaged audio packet is left out", stacklevel=3)
        return None
    previous = stream.packets[-1] if stream.packets else None
    expected = previous.pts + previous.duration if previous else 0
    pts = next((ts + offset for ts in (packet.pts, packet.dts) if ts is not None), expected)
    return AudioPacket(
        pts=pts,
        dts=pts if packet.dts is None else packet.dts + offset,
        duration=packet.duration or 0,
        is_keyframe=packet.is_keyframe,
        data=bytes(packet),
    )

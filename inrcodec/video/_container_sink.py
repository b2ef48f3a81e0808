"""`.mp4`, `.mkv` and `.webm`: frames through an encoder of FFmpeg, audio packets as they are."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.codec.context import Flags
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from inrcodec.video._audio_muxer import AudioMuxer, origin_of
from inrcodec.video._part_file import PartFile
from inrcodec.video._pixels import MATRIX_RGB, RGBImage, from_rgb
from inrcodec.video._plain_sinks import yuv_pixel_format
from inrcodec.video._types import AudioStream, ColorTags, VideoMetadata

_BT709 = 1


@dataclass(frozen=True)
class ContainerFormat:
    """What one file ending stands for, in FFmpeg's words."""

    muxer: str
    encoder: str
    encoder_options: dict[str, str]
    muxer_options: dict[str, str]


_X264 = {"preset": "fast"}
# Where `from_rgb` leaves the chroma of 4:2:0: in the middle of its four pixels (H.264, table E-1).
_X264_CHROMA = {"x264-params": "chromaloc=1"}
CONTAINERS = {
    # faststart: the index goes to the front, so that a browser can play what it has.
    ".mp4": ContainerFormat("mp4", "libx264", _X264, {"movflags": "+faststart"}),
    ".mkv": ContainerFormat("matroska", "libx264", _X264, {}),
    ".webm": ContainerFormat(
        "webm",
        "libvpx-vp9",
        {"deadline": "good", "cpu-used": "4", "row-mt": "1", "b": "0"},
        {},
    ),
}


class ContainerSink:
    """One video stream and any number of audio streams.

    Time stamps are exact in `.mp4`. `.mkv` and `.webm` count in milliseconds, from the first audio
    packet, which may start some milliseconds before the first frame. VP9 has no place for a sample
    aspect ratio and PyAV cannot write one beside it: `.webm` goes without, with a warning.

    Raises:
        VideoError: the container cannot carry an audio codec.
    """

    def __init__(
        self, target: Path, *, metadata: VideoMetadata, audio: Sequence[AudioStream], crf: int
    ) -> None:
        self._name = str(target)
        self._audio = audio
        self._metadata = metadata
        self._color = _tagged(metadata.color)
        self._pixel_format = yuv_pixel_format(metadata)
        self._origin_ticks: int | None = None  # what becomes 0, in units of time_base
        container_format = CONTAINERS[target.suffix.lower()]
        self._part = PartFile(target)
        self._container = av.open(
            f"file:{self._part.path}",
            mode="w",
            format=container_format.muxer,
            container_options=container_format.muxer_options,
        )
        try:
            self._stream = self._add_video(container_format, crf)
            self._muxer = AudioMuxer(self._container, audio, target=str(target))
            self._container.start_encoding()
        except BaseException:
            self.abort()
            raise

    def write(self, image: RGBImage, *, pts: int, duration: int) -> None:
        """Encode one frame and mux what is ready, with the audio that is due."""
        time_base = self._metadata.time_base
        if self._origin_ticks is None:
            origin = origin_of(pts * time_base, self._audio)
            self._origin_ticks = round(origin / time_base)
        frame = from_rgb(image, pixel_format=self._pixel_format, color=self._color)
        # Encoders count in 1 / denominator: a numerator other than 1 goes into the numbers.
        frame.time_base = Fraction(1, time_base.denominator)
        frame.pts = (pts - self._origin_ticks) * time_base.numerator
        frame.duration = duration * time_base.numerator
        self._mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Drain the encoder, write the remaining audio and the index, and name the file."""
        self._mux(self._stream.encode(None))
        self._muxer.mux_until(None, origin_seconds=self._origin_seconds())
        self._container.close()
        self._part.commit()

    def abort(self) -> None:
        """Remove the file."""
        with contextlib.suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()
        self._part.discard()

    def _mux(self, packets: list[av.Packet[VideoStream]]) -> None:
        for packet in packets:
            if packet.dts is not None:
                due = packet.dts * packet.time_base
                self._muxer.mux_until(due, origin_seconds=self._origin_seconds())
            self._container.mux(packet)

    def _origin_seconds(self) -> Fraction:
        return (self._origin_ticks or 0) * self._metadata.time_base

    def _add_video(self, container_format: ContainerFormat, crf: int) -> VideoStream:
        metadata = self._metadata
        options = {**container_format.encoder_options, "crf": str(crf)}
        if container_format.encoder == "libx264" and self._pixel_format == "yuv420p":
            options |= _X264_CHROMA
        stream = cast(
            VideoStream,
            self._container.add_stream(
                container_format.encoder,
                rate=metadata.average_fps,
                options=options,
                width=metadata.width,
                height=metadata.height,
                pix_fmt=self._pixel_format,
                time_base=Fraction(1, metadata.time_base.denominator),
            ),
        )
        context = stream.codec_context
        context.flags |= Flags.frame_duration
        context.sample_aspect_ratio = metadata.sample_aspect_ratio
        if container_format.muxer == "webm" and metadata.sample_aspect_ratio != 1:
            warnings.warn(
                f"{self._name}: .webm is written without the sample aspect ratio "
                f"{metadata.sample_aspect_ratio}; .mp4 and .mkv carry it",
                stacklevel=2,
            )
        context.colorspace = self._color.matrix
        context.color_primaries = self._color.primaries
        context.color_trc = self._color.transfer
        context.color_range = ColorRange.JPEG if self._color.full_range else ColorRange.MPEG
        return stream


def _tagged(color: ColorTags) -> ColorTags:
    if color.matrix != MATRIX_RGB:
        return color
    return dataclasses.replace(color, matrix=_BT709, full_range=False)

"""A file that FFmpeg opens, or raw `.yuv`, as a source of decoded frames."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.container.core import Flags
from av.stream import Disposition
from av.video.format import VideoFormat
from av.video.frame import VideoFrame as AvFrame
from av.video.stream import VideoStream

from inrcodec.errors import VideoError
from inrcodec.video._cut import checked_rate
from inrcodec.video._types import CodedSize, RawVideoFormat

# FFmpeg's names of those whose packets lack a stream's parameter sets.
_HOLD_HEADERS_APART = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


def open_container(source: str, *, raw: RawVideoFormat | None = None) -> InputContainer:
    """Open a file or a URL with FFmpeg.

    Raises:
        VideoError: no such file, or nothing that FFmpeg knows.
    """
    options: dict[str, str] = {}
    if raw is not None:
        options = {
            "video_size": f"{raw.width}x{raw.height}",
            "pixel_format": raw.pixel_format,
            "framerate": f"{raw.fps.numerator}/{raw.fps.denominator}",
        }
    is_url = "://" in source
    if not is_url and not Path(source).exists():
        raise VideoError(f"{source}: no such file or folder")
    try:
        return av.open(
            # The protocol is spelled out, so that a colon in a file's name is only a colon.
            source if is_url else f"file:{source}",
            mode="r",
            format=None if raw is None else "rawvideo",
            options=options,
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise VideoError(f"{source}: not a video that FFmpeg reads: {reason}") from exc


class ContainerSource:
    """The best video stream of a container; a still cover picture does not count as one.

    Raises:
        VideoError: the file cannot be opened, has no video stream, or its codec is not known.
    """

    def __init__(self, source: str, *, raw: RawVideoFormat | None = None) -> None:
        self.name = source
        self._raw = raw
        num_raw_frames = None if raw is None else _num_raw_frames(Path(source), raw)
        with open_container(source, raw=raw) as container:
            stream = _video_stream(container, source)
            rate = stream.average_rate or stream.guessed_rate or stream.base_rate
            self.average_fps = raw.fps if raw else Fraction(rate or 25)
            self.time_base = Fraction(stream.time_base or 1 / self.average_fps)
            self.sample_aspect_ratio = Fraction(stream.sample_aspect_ratio or 1) or Fraction(1)
            self.num_frames = stream.frames or None
            self._counts_ticks = container.format.name == "avi"  # frames that were dropped too
            self.codec = stream.codec_context.codec.canonical_name
        self.is_count_exact = raw is not None
        if num_raw_frames is not None:
            self.num_frames = num_raw_frames

    def decode(self) -> Iterator[AvFrame]:
        """Yield the decoded frames in the order of their presentation.

        Raises:
            VideoError: a packet is damaged; the message names the frame.
        """
        index = num_packets = 0
        is_cut_by_list = False
        end = Fraction(0)  # seconds
        with open_container(self.name, raw=self._raw) as container:
            stream = _video_stream(container, self.name)
            # Time stamps that FFmpeg makes up for AVI come in coding order; none are better.
            container.flags &= ~Flags.gen_pts.value
            stream.thread_type = "AUTO"
            # Damaged slices are an error, not a patch of grey that FFmpeg makes up.
            stream.codec_context.options = {"err_detect": "explode"}
            try:
                for packet in container.demux(stream):
                    if packet.is_corrupt:
                        raise VideoError(f"{self.frame_name(index)}: damaged or cut-off data")
                    num_packets += packet.size > 0
                    is_cut_by_list |= packet.is_discard
                    for frame in packet.decode():
                        if frame.is_corrupt:
                            raise VideoError(f"{self.frame_name(index)}: damaged data")
                        yield frame
                        index += 1
                    if packet.pts is not None and packet.duration:
                        end = max(end, (packet.pts + packet.duration) * self.time_base)
            except (av.FFmpegError, OSError) as exc:
                reason = getattr(exc, "strerror", None) or exc
                raise VideoError(f"{self.frame_name(index)}: cannot be decoded: {reason}") from exc
            if not is_cut_by_list:  # an edit list may end before the packets that are counted
                self._warn_if_cut_off(stream, num_packets, end)

    def coded_size(self) -> CodedSize:
        """Return the bytes of the stream, and how many of its packets are shown.

        Parameter sets that a container holds apart from the packets count too.

        Raises:
            VideoError: the file is damaged so that its packets cannot be told apart.
        """
        num_bytes = num_frames = 0
        with open_container(self.name, raw=self._raw) as container:
            try:
                stream = _video_stream(container, self.name)
                if container.format.name in _HOLD_HEADERS_APART:
                    num_bytes += len(stream.codec_context.extradata or b"")
                for packet in container.demux(stream):
                    num_bytes += packet.size
                    # An edit list may keep packets that are only decoded.
                    num_frames += packet.size > 0 and not packet.is_discard
            except (av.FFmpegError, OSError) as exc:
                reason = getattr(exc, "strerror", None) or exc
                raise VideoError(f"{self.name}: cannot be read: {reason}") from exc
        return CodedSize(num_bytes, num_frames, is_exact=self.is_count_exact)

    def _warn_if_cut_off(self, stream: VideoStream, num_packets: int, end: Fraction) -> None:
        missing = None
        promised = _matroska_duration(stream)
        if self.num_frames is not None and self._counts_ticks:
            promised = self.num_frames * self.time_base
        elif self.num_frames is not None and num_packets < self.num_frames:
            missing = f"{self.num_frames} frames, the file holds {num_packets}"
        if promised is not None and 0 < end < promised - 2 / self.average_fps:
            missing = f"{float(promised):.2f} s of video, the file holds {float(end):.2f} s"
        if missing:
            warnings.warn(
                f"{self.name}: the header promises {missing}; is it cut off?", stacklevel=3
            )

    def frame_name(self, index: int) -> str:
        """Return what an error should call frame `index`."""
        return f"{self.name}: frame {index}"


def _video_stream(container: InputContainer, source: str) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise VideoError(f"{source}: no video stream")
    if stream.codec_context is None:
        raise VideoError(f"{source}: FFmpeg knows no decoder for its video stream")
    if stream.metadata.get("alpha_mode") == "1":
        raise VideoError(f"{source}: video with an alpha channel; the codec has none")
    return stream


def _matroska_duration(stream: VideoStream) -> Fraction | None:
    """The length that FFmpeg and mkvmerge note beside a stream, such as 00:00:05.280000000."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])


def _num_raw_frames(path: Path, raw: RawVideoFormat) -> int:
    frame_bytes = _raw_frame_bytes(raw, source=str(path))
    if not path.is_file():
        raise VideoError(f"{path}: no such file")
    file_bytes = path.stat().st_size
    if file_bytes == 0 or file_bytes % frame_bytes:
        raise VideoError(
            f"{path}: {file_bytes} bytes are no whole number of {raw.width}x{raw.height} "
            f"{raw.pixel_format} frames of {frame_bytes} bytes"
        )
    return file_bytes // frame_bytes


def _raw_frame_bytes(raw: RawVideoFormat, *, source: str) -> int:
    if raw.width < 1 or raw.height < 1 or raw.fps <= 0:
        raise VideoError(f"{source}: no raw video of {raw.width}x{raw.height} at {raw.fps} fps")
    checked_rate(raw.fps, source)
    try:
        video_format = VideoFormat(raw.pixel_format, raw.width, raw.height)
    except ValueError as exc:
        raise VideoError(f"{source}: unknown pixel format {raw.pixel_format!r}") from exc
    samples = [(c.width * c.height, -(-c.bits // 8)) for c in video_format.components]
    # In 8x8 pixels nothing is padded: packed formats such as x2rgb10 betray themselves.
    block = VideoFormat(raw.pixel_format, 8, 8)
    block_bytes = sum(c.width * c.height * -(-c.bits // 8) for c in block.components)
    if block.has_palette or block_bytes * 8 != block.padded_bits_per_pixel * 64:
        raise VideoError(f"{source}: raw video in pixel format {raw.pixel_format} is not supported")
    return sum(count * size for count, size in samples)

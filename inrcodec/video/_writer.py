"""`VideoWriter`: decoded frames and passed-through audio in, a video file out."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import torch

from inrcodec.errors import VideoError
from inrcodec.video._container_sink import CONTAINERS, ContainerSink
from inrcodec.video._images import is_pattern
from inrcodec.video._pixels import check_colors
from inrcodec.video._plain_sinks import PLAIN_ENDINGS, PlaneFileSink, PlaneSink, PngSink, Sink
from inrcodec.video._types import AudioStream, VideoFrame, VideoMetadata

DEFAULT_CRF = 12  # visually lossless
BT2020_MATRICES = (9, 10)

KNOWN_OUTPUTS = ".mp4, .mkv, .webm, .y4m, .yuv, a pattern such as %05d.png, - for y4m on stdout"
STDOUT = "standard output"
WRITE_ERRORS = (av.FFmpegError, OSError, OverflowError, ValueError)


class VideoWriter:
    """Writes RGB frames as a video; what kind is told by the target's ending.

    `.mp4`, `.mkv`
        H.264 (libx264, preset fast), audio packets as they are.
    `.webm`
        VP9 (libvpx), audio packets as they are; the container carries Opus and Vorbis only.
    `.y4m`, `-`, a binary file object
        Uncompressed planes, constant rate. `-` is standard output.
    `.yuv`
        Uncompressed planes and nothing else.
    `%05d.png`
        RGB as it is, one file a frame, counted from 1.

    Planes are 4:2:0 where width and height are even, else 4:4:4 (libx264 takes no odd 4:2:0).
    RGB becomes YUV by the metadata's matrix and range. A source that was RGB (matrix 0) becomes
    BT.709 limited in containers, which say so, and BT.601 limited in plain planes, which cannot and
    are read as such. The first frame is moved to time 0, or later where
    sound precedes it. Audio is ignored where it has no place.

    The output appears under its name when it is complete: it is written beside, and renamed by
    `close`. After an error, nothing is left behind.

    Args:
        target: path, `-`, or a file object opened for writing bytes (which stays open).
        metadata: size, time base, rate, aspect and tags of the frames to come.
        audio: streams whose time stamps are on the clock of the frames'.
        crf: quality of H.264 and VP9, 0 (best) to 51 and 63.

    Raises:
        VideoError: an unknown ending, a folder that is not there, a codec that the container
            cannot carry, a full disk, a reader that closed the pipe.
    """

    def __init__(
        self,
        target: str | Path | BinaryIO,
        *,
        metadata: VideoMetadata,
        audio: Sequence[AudioStream] = (),
        crf: int = DEFAULT_CRF,
    ) -> None:
        self._metadata = metadata
        self._last_pts: int | None = None
        self._is_closed = False
        self._name, self._sink = _open_sink(target, metadata, audio, crf)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self.abort()

    def write(self, frame: VideoFrame) -> None:
        """Write the next frame.

        Raises:
            VideoError: the output cannot be written; nothing is left of it.
            ValueError: the frame has not the metadata's size, or does not come after the last one.
        """
        size = (3, self._metadata.height, self._metadata.width)
        if tuple(frame.rgb.shape) != size or frame.rgb.dtype != torch.uint8:
            found = f"{tuple(frame.rgb.shape)} {frame.rgb.dtype}"
            raise ValueError(f"{self._name}: a frame must be {size} torch.uint8, not {found}")
        if self._last_pts is not None and frame.pts <= self._last_pts:
            raise ValueError(f"{self._name}: pts {frame.pts} does not follow {self._last_pts}")
        if self._is_closed:
            raise ValueError(f"{self._name}: is closed")
        self._last_pts = frame.pts
        image = frame.rgb.cpu().permute(1, 2, 0).contiguous().numpy()  # (H, W, 3)
        with self._failing_cleanly():
            self._sink.write(image, pts=frame.pts, duration=frame.duration)

    def close(self) -> None:
        """Finish the output and give it its name. Closing twice is harmless.

        Raises:
            VideoError: no frame was written, or the output cannot be finished.
        """
        if self._is_closed:
            return
        if self._last_pts is None:
            self.abort()
            raise VideoError(f"{self._name}: no frames to write")
        with self._failing_cleanly():
            self._sink.finish()
        self._is_closed = True

    def abort(self) -> None:
        """Drop the output; whatever had its name before stays."""
        if not self._is_closed:
            self._is_closed = True
            self._sink.abort()

    @contextlib.contextmanager
    def _failing_cleanly(self) -> Iterator[None]:
        try:
            yield
        except WRITE_ERRORS as exc:
            self.abort()
            if isinstance(exc, BrokenPipeError):
                _forget_stdout(self._name)
            raise _write_error(self._name, exc) from exc
        except BaseException:  # Ctrl-C
            self.abort()
            raise


def takes_audio(target: str | Path | BinaryIO) -> bool:
    """Whether `VideoWriter` would write audio there: into containers alone."""
    return isinstance(target, (str, Path)) and Path(target).suffix.lower() in CONTAINERS


def _open_sink(
    target: str | Path | BinaryIO, metadata: VideoMetadata, audio: Sequence[AudioStream], crf: int
) -> tuple[str, Sink]:
    stream = None if isinstance(target, (str, Path)) else target
    name = "output" if stream is not None else str(target)
    if name == "-":
        stream, name = sys.stdout.buffer, STDOUT
    if stream is not None:
        _check_conversion(name, metadata)
        return name, PlaneSink(stream, metadata=metadata, has_headers=True)
    try:
        return name, _open_file(Path(name), metadata, audio, crf)
    except WRITE_ERRORS as exc:
        raise _write_error(name, exc) from exc


def _check_conversion(name: str, metadata: VideoMetadata) -> None:
    """Refuse colours that planes cannot be made in, of which PNG files have no need.

    PyAV 17, the last for Python 3.10, converts BT.2020 by another matrix and says nothing.
    """
    check_colors(metadata.color, name)
    if metadata.color.matrix in BT2020_MATRICES and int(av.__version__.split(".")[0]) < 18:
        raise VideoError(
            f"{name}: PyAV {av.__version__} cannot convert RGB to BT.2020: use Python 3.11 or 3.12 "
            "(PyAV 18), or decode to a pattern such as %05d.png"
        )


def _open_file(path: Path, metadata: VideoMetadata, audio: Sequence[AudioStream], crf: int) -> Sink:
    ending = path.suffix.lower()
    if ending == ".png" and is_pattern(str(path)):
        return PngSink(path, metadata=metadata)
    _check_conversion(str(path), metadata)
    if ending in CONTAINERS:
        return ContainerSink(path, metadata=metadata, audio=audio, crf=crf)
    if ending in PLAIN_ENDINGS:
        return PlaneFileSink(path, metadata=metadata, has_headers=ending == ".y4m")
    raise VideoError(f"{path}: unknown kind of output; known: {KNOWN_OUTPUTS}")


def _write_error(name: str, exc: Exception) -> VideoError:
    if isinstance(exc, BrokenPipeError):
        return VideoError(f"{name}: the reader closed the pipe")
    reason = getattr(exc, "strerror", None) or exc
    return VideoError(f"{name}: cannot be written: {reason}")


def _forget_stdout(name: str) -> None:
    """Point a broken standard output at nothing, or Python complains when it flushes at exit."""
    if name == STDOUT:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

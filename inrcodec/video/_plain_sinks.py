"""Outputs without a video codec: planes (`.y4m`, `.yuv`, standard output) and PNG files."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Protocol

from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame as AvFrame

from inrcodec.video._images import numbered_name
from inrcodec.video._part_file import PartFile, PartFolder
from inrcodec.video._pixels import MATRIX_RGB, RGBImage, from_rgb, plane_bytes
from inrcodec.video._types import UNSPECIFIED, ColorTags, VideoMetadata

PLAIN_ENDINGS = (".y4m", ".yuv")
_AS_BT601 = (MATRIX_RGB, UNSPECIFIED, 5, 6)  # of H.273, in planes
_PNG_COMPRESSION = "3"  # of zlib's 0 to 9; more is slower and hardly smaller


class Sink(Protocol):
    """Where `VideoWriter` sends its frames."""

    def write(self, image: RGBImage, *, pts: int, duration: int) -> None:
        """Write one `(H, W, 3)` frame."""

    def finish(self) -> None:
        """Complete the output and give it its name."""

    def abort(self) -> None:
        """Remove what was written."""


def yuv_pixel_format(metadata: VideoMetadata) -> str:
    """Return 4:2:0 for even width and height, else 4:4:4."""
    is_even = metadata.width % 2 == 0 and metadata.height % 2 == 0
    return "yuv420p" if is_even else "yuv444p"


def is_taken_for_another(color: ColorTags) -> bool:
    """Whether readers, who take plain planes for BT.601, are wrong about those of such a source."""
    return color.matrix not in _AS_BT601


class PlaneSink:
    """YUV planes one frame after another, with y4m's text headers or bare.

    Neither can name a matrix, so RGB sources become what readers assume: BT.601 limited.
    """

    def __init__(self, file: BinaryIO, *, metadata: VideoMetadata, has_headers: bool) -> None:
        self._file = file
        self._pixel_format = yuv_pixel_format(metadata)
        is_rgb = metadata.color.matrix == MATRIX_RGB
        self._color = ColorTags() if is_rgb else metadata.color
        self._frame_header = b"FRAME\n" if has_headers else b""
        self._header = self._y4m_header(metadata) if has_headers else b""

    def write(self, image: RGBImage, *, pts: int, duration: int) -> None:
        """Write one frame; its time stamp has no place here."""
        frame = from_rgb(image, pixel_format=self._pixel_format, color=self._color)
        _write_all(self._file, self._header + self._frame_header + plane_bytes(frame))
        self._header = b""

    def finish(self) -> None:
        """Flush; the file stays open."""
        self._file.flush()

    def abort(self) -> None:
        """Do nothing: what went into a stream is gone."""

    def _y4m_header(self, metadata: VideoMetadata) -> bytes:
        fps, aspect = metadata.average_fps, metadata.sample_aspect_ratio
        # Chroma of `from_rgb` lies in the middle of its four pixels, as JPEG has it.
        chroma = "420jpeg" if self._pixel_format == "yuv420p" else "444"
        fields = [
            f"YUV4MPEG2 W{metadata.width} H{metadata.height}",
            f"F{fps.numerator}:{fps.denominator} Ip A{aspect.numerator}:{aspect.denominator}",
            f"C{chroma} XCOLORRANGE={'FULL' if self._color.full_range else 'LIMITED'}\n",
        ]
        return " ".join(fields).encode()


class PlaneFileSink(PlaneSink):
    """YUV planes in a file of their own."""

    def __init__(self, target: Path, *, metadata: VideoMetadata, has_headers: bool) -> None:
        self._part = PartFile(target)
        super().__init__(
            open(self._part.path, "xb"),  # noqa: SIM115
            metadata=metadata,
            has_headers=has_headers,
        )

    def finish(self) -> None:
        """Close the file and give it its name."""
        self._file.close()
        self._part.commit()

    def abort(self) -> None:
        """Remove the file."""
        self._part.discard()
        with contextlib.suppress(OSError):  # what is buffered has no place either
            self._file.close()


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data`, also to a raw file, which may take less at a time.

    Raises:
        OSError: `file` takes no more.
    """
    if not isinstance(file, io.RawIOBase):
        file.write(data)
        return
    left = memoryview(data)
    while left:
        num_written = file.write(left)
        if not num_written:  # None where it would block
            raise BlockingIOError("it takes no more bytes at the moment")
        left = left[num_written:]


class PngSink:
    """RGB as it is, one PNG file a frame, numbered from 1 by the `%05d` in the target's name."""

    def __init__(self, target: Path, *, metadata: VideoMetadata) -> None:
        self._pattern = target.name
        self._num_written = 0
        self._encoder = VideoCodecContext.create("png", "w")
        self._encoder.width, self._encoder.height = metadata.width, metadata.height
        self._encoder.pix_fmt = "rgb24"
        self._encoder.time_base = Fraction(1, 25)  # an encoder must have one
        self._encoder.thread_count = 1  # more would hold frames back
        self._encoder.options = {"compression_level": _PNG_COMPRESSION}
        self._part = PartFolder(target.parent, target=str(target))

    def write(self, image: RGBImage, *, pts: int, duration: int) -> None:
        """Write one file; the time stamp has no place here."""
        frame = AvFrame.from_ndarray(image, format="rgb24")
        frame.pts = self._num_written
        self._num_written += 1
        png = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        (self._part.path / numbered_name(self._pattern, self._num_written)).write_bytes(png)

    def finish(self) -> None:
        """Move the files into their folder."""
        self._part.commit()

    def abort(self) -> None:
        """Remove the files."""
        self._part.discard()

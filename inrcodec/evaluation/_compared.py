"""A video as `compare` takes it: what is known before it is decoded, and its frames on disk.

In: any source of an encode, or an `.inr` file. Out: a `ComparedVideo`; then a `Reference`, or RGB
and, where the source has such planes, 4:2:0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from inrcodec._source import raw_format, source_path
from inrcodec.bitstream import InrFile
from inrcodec.errors import EvaluationError
from inrcodec.evaluation._colour import rgb_to_yuv420, yuv420_to_rgb
from inrcodec.evaluation._cut import Cut, Geometry
from inrcodec.evaluation._decode_inr import decode_inr
from inrcodec.evaluation._raw import RawFrames, write_frames
from inrcodec.evaluation._reader_colour import yuv420_to_reader_rgb
from inrcodec.evaluation._reference import (
    MATRIX_OF_RGB,
    Reference,
    clip_label,
    clip_name,
    matrix_name,
    prepare_reference,
    write_rgb,
)
from inrcodec.video import RawVideoFormat, VideoMetadata, VideoReader
from inrcodec.video._pixels import MATRIX_RGB, is_read_accurately

Conversion = Literal["none", "fast", "accurate"]  # of the reader, to RGB: `video/_pixels.py`


@dataclass(frozen=True)
class ComparedVideo:
    """What a video is, the whole of it."""

    source: str  # as it was given
    path: Path | str
    geometry: Geometry
    is_count_exact: bool  # False where decoding may give other frames than the geometry says
    num_bytes: int  # of the video, without its audio
    matrix: str | None = None  # that its YUV is read by; None for RGB, grey and `.inr`
    # How its RGB comes about; None for `.inr`, whose RGB is like that of the clip it was fitted to.
    conversion: Conversion | None = None
    raw: RawVideoFormat | None = None

    @property
    def is_inr(self) -> bool:
        """Whether it is an `.inr` file."""
        return is_inr(self.source)


@dataclass(frozen=True)
class DecodedVideo:
    """A video's frames on disk."""

    rgb: RawFrames
    yuv: RawFrames | None  # None leaves it to `Reference.to_yuv420`
    decode_seconds: float | None = None  # of an `.inr` file
    is_rgb_comparable: bool = True  # False where another conversion made it than the reference's


def look_at(source: str | Path, raw: RawVideoFormat | None) -> ComparedVideo:
    """Return what a video is, without decoding more than its first frame.

    Args:
        source: a source of an encode, or an `.inr` file.
        raw: format of a raw `.yuv` file.

    Raises:
        BitstreamError: an `.inr` file is damaged.
        EvaluationError: its bytes cannot be counted.
        VideoError: it cannot be read.
    """
    path = source_path(source)
    if is_inr(source):
        return _look_at_inr(str(source), Path(path))
    is_raw = str(source).lower().endswith(".yuv")
    raw = (raw if is_raw else None) or raw_format(source, path)
    with VideoReader(path, raw=raw) as reader:
        size, metadata = reader.coded_size(), reader.metadata
    if size.num_bytes < 1:
        raise EvaluationError(f"{source}: the bytes of its video cannot be counted")
    return ComparedVideo(
        source=str(source),
        path=path,
        geometry=Geometry(metadata.width, metadata.height, size.num_frames),
        is_count_exact=size.is_exact,
        num_bytes=size.num_bytes,
        matrix=None if metadata.pixel_format.startswith("gray") else matrix_name(metadata),
        conversion=_conversion(metadata),
        raw=raw,
    )


def _look_at_inr(source: str, path: Path) -> ComparedVideo:
    with InrFile(path) as file:
        header = file.header
        return ComparedVideo(
            source=source,
            path=path,
            geometry=Geometry(header.width, header.height, header.num_frames),
            is_count_exact=True,
            num_bytes=file.num_bytes - file.audio_bytes,
        )


def decode_reference(video: ComparedVideo, folder: Path, *, cut: Cut, device: str) -> Reference:
    """Write the frames that others are scored against.

    Raises:
        BitstreamError: an `.inr` file is damaged.
        EvaluationError: the conversion to 4:2:0 fails, or a file cannot be written.
        VideoError: the source cannot be read, or has not the frames or pixels of the cut.
    """
    if not video.is_inr:
        return prepare_reference(
            video.source, folder, **asdict(cut), raw=video.raw, round_own_420=True
        )
    folder.mkdir(parents=True, exist_ok=True)
    rgb, _ = decode_inr(Path(video.path), folder / "reference.rgb", device=device, cut=cut)
    with InrFile(video.path) as file:
        fps = Fraction(file.header.average_fps)
    yuv = rgb_to_yuv420(rgb, folder / "reference.yuv", matrix=MATRIX_OF_RGB)
    name = clip_name(video.source)
    label = clip_label(name, rgb, start=cut.frames[0] if cut.frames else 0, crop=cut.crop)
    return Reference(name, rgb, yuv, fps, MATRIX_OF_RGB, label)


def decode_video(
    video: ComparedVideo,
    folder: Path,
    *,
    cut: Cut,
    source: ComparedVideo,
    planes_in: str | None,
    device: str,
) -> DecodedVideo:
    """Write the frames of a video that is compared.

    The reader has two conversions to RGB, which are a level apart on average. What was coded in
    other bits or chroma than the source must not pay for that: a video's own 4:2:0 becomes RGB by
    the conversion that the source had.

    Args:
        video: what is decoded.
        folder: where to.
        cut: what is taken of it.
        source: what it is compared with.
        planes_in: the reference's matrix; None where no 4:2:0 is wanted.
        device: where an `.inr` file is decoded.

    Raises:
        BitstreamError: an `.inr` file is damaged.
        EvaluationError: a conversion fails, or a file cannot be written.
        VideoError: the source cannot be read, or has not the frames or pixels of the cut.
    """
    rgb_path, yuv_path = folder / "decoded.rgb", folder / "decoded.yuv"
    if video.is_inr:
        rgb, seconds = decode_inr(Path(video.path), rgb_path, device=device, cut=cut)
        return DecodedVideo(rgb, None, seconds)
    with VideoReader(video.path, **asdict(cut), raw=video.raw) as reader:
        is_alike = _converted_alike(video, source)
        if not is_alike and (matrix := _own_matrix(reader)) is not None:
            own = _own_planes(reader, yuv_path)
            if source.conversion == "none":
                rgb = yuv420_to_rgb(own, rgb_path, matrix=matrix)
            else:
                accurately = source.conversion == "accurate"
                rgb = yuv420_to_reader_rgb(own, rgb_path, matrix=matrix, accurately=accurately)
            return DecodedVideo(rgb, own if matrix == planes_in else None)
        rgb = write_rgb(reader, rgb_path)
        yuv = None if planes_in is None else _planes(reader, rgb, yuv_path, matrix=planes_in)
    return DecodedVideo(rgb, yuv, is_rgb_comparable=is_alike)


def _conversion(metadata: VideoMetadata) -> Conversion:
    if metadata.pixel_format.startswith("gray") or metadata.color.matrix == MATRIX_RGB:
        return "none"
    return "accurate" if is_read_accurately(metadata.pixel_format) else "fast"


def _converted_alike(video: ComparedVideo, source: ComparedVideo) -> bool:
    """Whether RGB is as comparable as the pictures are: what needs no conversion is the truth."""
    if video.conversion in (None, "none") or source.conversion is None:
        return True
    return (video.conversion == "fast") == (source.conversion == "fast")


def _own_matrix(reader: VideoReader) -> str | None:
    """Return the matrix of a video's own 4:2:0, None where it has none, or of an unknown matrix."""
    has_own = reader.has_own_420 or reader.has_rounded_420
    return matrix_name(reader.metadata) if has_own else None


def _own_planes(reader: VideoReader, out: Path) -> RawFrames:
    num_frames = write_frames(out, reader.own_420())
    return RawFrames(out, "yuv420p", reader.metadata.width, reader.metadata.height, num_frames)


def _planes(reader: VideoReader, rgb: RawFrames, out: Path, *, matrix: str) -> RawFrames | None:
    """Write a video's 4:2:0: its own, in 8 bits or rounded to them, where it has the matrix.

    Of another it is made by the inverse of the way that the reader made RGB: where that was the
    accurate one, here. None leaves it to `Reference.to_yuv420`.
    """
    if _own_matrix(reader) == matrix:
        return _own_planes(reader, out)
    if _conversion(reader.metadata) == "accurate":
        return rgb_to_yuv420(rgb, out, matrix=matrix)
    return None


def is_inr(source: str | Path) -> bool:
    """Whether a source is an `.inr` file, by its name."""
    return str(source).lower().endswith(".inr")

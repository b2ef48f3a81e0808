"""Pixels: FFmpeg frames to RGB and back, upright turns and resize.

To RGB, the numbers are FFmpeg's own defaults, so that 8-bit 4:2:0 gives, value for value, what
`ffmpeg -i clip -pix_fmt rgb24 -f rawvideo -` gives (the baselines of the INR literature were made
that way). That fast path of swscale repeats each chroma sample and rounds down: flat colours come
out 0 to 3 levels of 255 low, about 1 on average. Every other format takes swscale's accurate path,
within 0.5 level in 8 bits (1.5 levels for full range of more than 8 bits).

From RGB, chroma is computed at full resolution before it is subsampled, with accurate rounding;
that of 4:2:0 lies in the middle of its four pixels, where swscale puts it unless told otherwise.
"""

from __future__ import annotations

import math
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame as AvFrame
from av.video.reformatter import ColorRange

from inrcodec.errors import VideoError
from inrcodec.video._types import UNSPECIFIED, ColorTags

RGBImage = npt.NDArray[np.uint8]  # (H, W, 3)

MATRIX_RGB = 0
HDR_TRANSFERS = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}

# H.273 matrices that swscale computes -> its own numbers for them (SWS_CS_*).
_SWS_COLORSPACE = {1: 1, 2: 5, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_FAST_FORMATS = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"}
# swscale's flags by number (libswscale/swscale.h): PyAV 17, the last for Python 3.10, passes them
# on but has no names for the modifiers.
_BICUBIC, _AREA = 0x4, 0x20
_FULL_CHR_H_INT, _FULL_CHR_H_INP, _ACCURATE_RND = 0x2000, 0x4000, 0x40000
_FAST = _BICUBIC
_ACCURATE = _BICUBIC | _ACCURATE_RND | _FULL_CHR_H_INT | _FULL_CHR_H_INP


def color_tags_of(frame: AvFrame) -> ColorTags:
    """Return the colour tags of a decoded frame, code point 2 for reserved ones."""
    name, is_rgb = frame.format.name, frame.format.is_rgb or frame.format.has_palette
    matrix = MATRIX_RGB if is_rgb else int(frame.colorspace)
    return ColorTags(
        primaries=_known(frame.color_primaries),
        transfer=_known(frame.color_trc),
        matrix=matrix if is_rgb else _known(matrix),
        full_range=is_rgb or int(frame.color_range) == ColorRange.JPEG or name.startswith("yuvj"),
    )


def bit_depth_of(frame: AvFrame) -> int:
    """Return the bits of the frame's deepest component."""
    return max((component.bits for component in frame.format.components), default=8)


def check_colors(tags: ColorTags, source: str) -> None:
    """Refuse colours that an 8-bit RGB frame cannot stand for.

    Raises:
        VideoError: an HDR transfer, or a matrix that swscale does not compute.
    """
    if tags.transfer in HDR_TRANSFERS:
        raise VideoError(
            f"{source}: HDR video, transfer {tags.transfer} {HDR_TRANSFERS[tags.transfer]}, does "
            "not fit 8-bit frames; tone-map it first: ffmpeg -i IN -vf zscale=t=linear:npl=100,"
            "format=gbrpf32le,zscale=p=bt709,tonemap=hable,zscale=t=bt709:m=bt709:r=tv,"
            "format=yuv420p sdr.mp4"
        )
    if tags.matrix != MATRIX_RGB and tags.matrix not in _SWS_COLORSPACE:
        raise VideoError(
            f"{source}: colour matrix {tags.matrix} of H.273 is not supported "
            f"(known: 0 and {', '.join(map(str, _SWS_COLORSPACE))})"
        )


def is_read_accurately(pixel_format: str) -> bool:
    """Whether `to_rgb` takes swscale's accurate path for a YUV format."""
    return pixel_format not in _FAST_FORMATS


def to_rgb(frame: AvFrame, *, where: str, accurately: bool | None = None) -> RGBImage:
    """Convert a decoded frame to `(H, W, 3)` uint8 RGB by its own matrix and range.

    An unspecified matrix is BT.601 and an unspecified range limited, as in FFmpeg. `accurately`
    takes one of swscale's paths for YUV; None that of the format.

    Raises:
        VideoError: a pixel is transparent, or swscale cannot convert the format.
    """
    try:
        if frame.format.has_palette or any(c.is_alpha for c in frame.format.components):
            return _opaque_rgb(frame, where)
        deep = bit_depth_of(frame) > 8
        if deep and (frame.format.is_rgb or frame.format.name.startswith("gray")):
            return _round_to_8_bits(_reformat(frame, "rgb48le", _ACCURATE))
        accurate = is_read_accurately(frame.format.name) if accurately is None else accurately
        return _reformat(frame, "rgb24", _ACCURATE if accurate else _FAST)
    except (av.FFmpegError, ValueError) as exc:
        raise VideoError(f"{where}: pixel format {frame.format.name} has no RGB: {exc}") from exc


def from_rgb(image: RGBImage, *, pixel_format: str, color: ColorTags) -> AvFrame:
    """Convert `(H, W, 3)` uint8 RGB to a YUV frame by the matrix and range of `color`.

    `color.matrix` must be a YUV one; code point 2 is BT.601. The frame carries the tags.
    """
    frame = AvFrame.from_ndarray(image, format="rgb24")
    out = frame.reformat(
        format=pixel_format,
        dst_colorspace=_SWS_COLORSPACE[color.matrix],
        dst_color_range=ColorRange.JPEG if color.full_range else ColorRange.MPEG,
        interpolation=_ACCURATE,
        threads=1,
    )
    _tag(out, color)
    return out


def frame_of_planes(
    planes: list[npt.NDArray[np.uint8]], *, pixel_format: str, color: ColorTags
) -> AvFrame:
    """Return a frame of an 8-bit planar format with these planes, the first `(H, W)`, and tags."""
    height, width = planes[0].shape
    frame = AvFrame(width, height, pixel_format)
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.zeros((target.height, target.line_size), np.uint8)
        rows[:, : target.width] = plane
        target.update(rows.tobytes())
    _tag(frame, color)
    return frame


def plane_bytes(frame: AvFrame) -> bytes:
    """Return the planes of an 8-bit planar frame one after another, without row padding."""
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        planes.append(rows[:, : plane.width].tobytes())
    return b"".join(planes)


class Orientation:
    """The turn and mirroring that a display matrix asks for, in steps of 90 degrees.

    What is mirrored counts as turned by 0 degrees.

    Raises:
        VideoError: the matrix asks for a turn by another angle.
    """

    def __init__(self, frame: AvFrame, *, source: str) -> None:
        # Nine int32: x' = a x + c y and y' = b x + d y are numbers 0, 3 and 1, 4.
        data = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
        matrix = np.frombuffer(bytes(data), np.int32).tolist() if data else [1, 0, 0, 0, 1]
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        if not (a or b or c or d):  # as if there were none
            a = d = 1
        if not ((b == c == 0 and a and d) or (a == d == 0 and b and c)):
            angle = math.degrees(math.atan2(b, a))
            raise VideoError(f"{source}: turned by {angle:.1f} degrees; only steps of 90 are known")
        self.transposed = a == 0
        self.mirror_x = (c if self.transposed else a) < 0
        self.mirror_y = (b if self.transposed else d) < 0
        is_mirrored = a * d - b * c < 0
        self.degrees_clockwise = 0 if is_mirrored else round(math.degrees(math.atan2(b, a))) % 360

    def __eq__(self, other: object) -> bool:
        """Whether `other` turns and mirrors alike."""
        return isinstance(other, Orientation) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def is_upright(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.transposed or self.mirror_x or self.mirror_y)

    def apply(self, image: RGBImage) -> RGBImage:
        """Return `(H, W, 3)` made upright: `(W, H, 3)` after a quarter turn."""
        upright = image.transpose(1, 0, 2) if self.transposed else image
        upright = upright[:, ::-1] if self.mirror_x else upright
        return upright[::-1] if self.mirror_y else upright


def resize(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Resize `(3, H, W)` uint8 to `(width, height)`: area average to shrink, bicubic to enlarge.

    The three colours are scaled as three independent planes (swscale would pass RGB through YUV),
    so that shrinking by a whole number is the exact mean of each block, rounded.
    """
    width, height = size
    if image.shape[1:] == (height, width):
        return image
    shrinks = height <= image.shape[1] and width <= image.shape[2]
    filter_ = _AREA if shrinks else _BICUBIC
    tags = ColorTags(full_range=True)
    frame = frame_of_planes(list(image), pixel_format="yuv444p", color=tags)
    flags = filter_ | _ACCURATE_RND
    out = frame.reformat(width=width, height=height, interpolation=flags, threads=1)
    return np.frombuffer(plane_bytes(out), np.uint8).reshape(3, height, width)


def _tag(frame: AvFrame, color: ColorTags) -> None:
    frame.colorspace = color.matrix
    frame.color_range = ColorRange.JPEG if color.full_range else ColorRange.MPEG
    frame.color_primaries = color.primaries
    frame.color_trc = color.transfer


def _known(code_point: Any) -> int:
    # 0 and 3 are reserved in all three tables (0 is RGB in the matrix's, handled by the caller).
    return UNSPECIFIED if int(code_point) in (0, 3) else int(code_point)


def _reformat(frame: AvFrame, pixel_format: str, flags: int) -> npt.NDArray[Any]:
    return frame.reformat(format=pixel_format, interpolation=flags, threads=1).to_ndarray()


def _opaque_rgb(frame: AvFrame, where: str) -> RGBImage:
    deep = bit_depth_of(frame) > 8
    rgba = _reformat(frame, "rgba64le" if deep else "rgba", _ACCURATE)
    if int(rgba[..., 3].min()) < np.iinfo(rgba.dtype).max:
        raise VideoError(
            f"{where}: transparent pixels (pixel format {frame.format.name}); the codec has no "
            "alpha: flatten it first, or drop the channel with ffmpeg -i IN -pix_fmt rgb24 OUT"
        )
    rgb = np.ascontiguousarray(rgba[..., :3])
    return _round_to_8_bits(rgb) if deep else rgb


def _round_to_8_bits(image: npt.NDArray[np.uint16]) -> RGBImage:
    return ((image.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)

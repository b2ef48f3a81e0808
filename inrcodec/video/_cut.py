"""What may be asked of a video: a range of its frames, a crop, a size, a rate; and the crop itself.

In: the wish and the video's own measure. Out: the wish, or an error that shows both.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame as AvFrame

from inrcodec.errors import VideoError
from inrcodec.video._pixels import bit_depth_of

MAX_SIDE = 16384  # pixels; of an `.inr` file too
MAX_TERM = (1 << 31) - 1  # of a rate or an aspect: FFmpeg holds no more, a file's header neither


def checked_range(frames: tuple[int, int | None] | None, source: str) -> tuple[int, int | None]:
    """Return (start, stop) of a half-open range; stop is None for the end, which is not known yet.

    Raises:
        VideoError: it is empty.
    """
    start, stop = frames or (0, None)
    if start < 0 or (stop is not None and stop <= start):
        raise VideoError(f"{source}: no frames {start}:{'' if stop is None else stop}")
    return start, stop


def check_end(frames: tuple[int, int | None], num_frames: int, source: str) -> None:
    """Check that a clip of so many frames has this range.

    Raises:
        VideoError: it has not.
    """
    start, stop = frames
    if start >= num_frames or (stop is not None and stop > num_frames):
        asked = f"{start}:{'' if stop is None else stop}"
        raise VideoError(
            f"{source}: frames {asked} asked for, but the clip has {num_frames} frames"
        )


def checked_crop(crop: tuple[int, int], size: tuple[int, int], source: str) -> tuple[int, int]:
    """Return `crop`, (width, height), which must fit in `size`.

    Raises:
        VideoError: it does not.
    """
    if not (1 <= crop[0] <= size[0] and 1 <= crop[1] <= size[1]):
        raise VideoError(
            f"{source}: no crop of {crop[0]}x{crop[1]} in a frame of {size[0]}x{size[1]} pixels"
        )
    return crop


def checked_resize(size: tuple[int, int], source: str) -> tuple[int, int]:
    """Return `size`, (width, height), each side of which must be 1 to `MAX_SIDE`.

    Raises:
        VideoError: one is not.
    """
    if not (1 <= size[0] <= MAX_SIDE and 1 <= size[1] <= MAX_SIDE):
        raise VideoError(
            f"{source}: no resize to {size[0]}x{size[1]}; each side is 1 to {MAX_SIDE} pixels"
        )
    return size


def checked_rate(fps: Fraction, source: str) -> Fraction:
    """Return `fps`, frames per second, whose terms must be 1 to `MAX_TERM`.

    Raises:
        VideoError: one is not.
    """
    if not (1 <= fps.numerator <= MAX_TERM and fps.denominator <= MAX_TERM):
        raise VideoError(
            f"{source}: no {fps} frames a second; numerator and denominator are 1 to {MAX_TERM}"
        )
    return fps


def limited_ratio(ratio: Fraction) -> Fraction:
    """Return the fraction nearest to `ratio` > 0 whose terms are `MAX_TERM` at most."""
    if ratio > 1:
        return 1 / limited_ratio(1 / ratio)
    return max(ratio.limit_denominator(MAX_TERM), Fraction(1, MAX_TERM))


def rate_of(num_frames: int, seconds: Fraction, nominal: Fraction) -> Fraction:
    """Return the average rate of frames that last so long: the nominal one where that is right.

    It is where it is at most one frame off over all of them, since time stamps are rounded. A part
    of a video of variable rate, or the whole of it as its container has it, may be far from it.

    >>> rate_of(60, Fraction("2.002"), Fraction(30000, 1001))
    Fraction(30000, 1001)
    >>> rate_of(10, Fraction(10), Fraction(25))
    Fraction(1, 1)
    """
    if seconds <= 0 or abs(num_frames - nominal * seconds) <= 1:
        return nominal
    return limited_ratio(num_frames / seconds)


def center_crop(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut `(width, height)` out of the middle of `(3, H, W)`; an odd remainder goes right, down."""
    width, height = size
    left, top = crop_corner((image.shape[2], image.shape[1]), size)
    return image[:, top : top + height, left : left + width]


def crop_corner(size: tuple[int, int], crop: tuple[int, int] | None) -> tuple[int, int]:
    """Return (left, top) of a central crop of `(width, height)`, (0, 0) without a crop."""
    width, height = crop or size
    return (size[0] - width) // 2, (size[1] - height) // 2


def crop_planes(frame: AvFrame, crop: tuple[int, int] | None) -> bytes:
    """Return the planes of a 4:2:0 frame, cut at an even corner, in 8 bits without row padding."""
    width, height = crop or (frame.width, frame.height)
    corner = crop_corner((frame.width, frame.height), crop)
    depth = bit_depth_of(frame)
    planes = []
    for plane, step in zip(frame.planes, (1, 2, 2), strict=True):
        left, top = corner[0] // step, corner[1] // step
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        samples = rows if depth == 8 else _rounded_samples(rows.view("<u2"), depth)
        cut = samples[top : top - (-height // step), left : left - (-width // step)]
        planes.append(cut.tobytes())
    return b"".join(planes)


def _rounded_samples(samples: npt.NDArray[np.uint16], depth: int) -> npt.NDArray[np.uint8]:
    """YUV of limited range in 8 bits: code values scale by powers of two."""
    rounded = (samples.astype(np.uint32) + (1 << (depth - 9))) >> (depth - 8)
    return rounded.clip(max=255).astype(np.uint8)

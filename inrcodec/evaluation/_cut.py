"""`Cut`: which part of a video is compared, and whether a video still has to be cut to it.

A video that is compared may be the reference's source, which is cut as the reference is, or what a
codec made of the part that was cut already. Frames and picture are decided each by itself, from
what is known before a frame is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from inrcodec.video._cut import (
    center_crop,
    check_end,
    checked_crop,
    checked_range,
    checked_resize,
)
from inrcodec.video._pixels import resize

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Geometry:
    """Size and number of frames."""

    width: int  # pixels
    height: int
    num_frames: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    def __str__(self) -> str:
        return f"{self.num_frames} frames of {self.width}x{self.height}"


@dataclass(frozen=True)
class Cut:
    """Part of a video, in the words of `VideoReader`; nothing is the whole of it."""

    frames: tuple[int, int | None] | None = None  # half-open range
    crop: tuple[int, int] | None = None  # (width, height), central, before the resize
    resize: tuple[int, int] | None = None  # (width, height)

    def range_of(self, num_frames: int, source: str) -> range:
        """Return the frames that are taken of so many.

        Raises:
            VideoError: there are not as many.
        """
        start, stop = checked_range(self.frames, source)
        check_end((start, stop), num_frames, source)
        return range(start, num_frames if stop is None else stop)

    def size_of(self, size: tuple[int, int], source: str) -> tuple[int, int]:
        """Return what becomes of (width, height).

        Raises:
            VideoError: the crop does not fit, or the new size is none.
        """
        if self.crop is not None:
            size = checked_crop(self.crop, size, source)
        return size if self.resize is None else checked_resize(self.resize, source)

    def geometry_of(self, video: Geometry, source: str) -> Geometry:
        """Return what becomes of a video.

        Raises:
            VideoError: it has not the frames or pixels.
        """
        num_frames = len(self.range_of(video.num_frames, source))
        return Geometry(*self.size_of(video.size, source), num_frames)

    def apply(self, picture: Picture) -> Picture:
        """Return one picture `(3, H, W)` cropped and resized, as `VideoReader` does it."""
        cropped = picture if self.crop is None else center_crop(picture, self.crop)
        return cropped if self.resize is None else resize(cropped, self.resize)


def cut_to_match(cut: Cut, video: Geometry, wanted: Geometry) -> Cut:
    """Return what of a cut a video still needs to be as wanted.

    Its frames are left as they are where their number is the wanted one, its picture where its
    size is.
    """
    if video.num_frames == wanted.num_frames:
        cut = replace(cut, frames=None)
    if video.size == wanted.size:
        cut = replace(cut, crop=None, resize=None)
    return cut

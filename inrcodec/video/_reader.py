"""`VideoReader`: any video source in, upright 8-bit RGB frames with exact time stamps out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from av.video.frame import VideoFrame as AvFrame

from inrcodec.errors import VideoError
from inrcodec.video._containers import ContainerSource
from inrcodec.video._cut import (
    center_crop,
    check_end,
    checked_crop,
    checked_range,
    checked_rate,
    checked_resize,
    crop_corner,
    crop_planes,
    limited_ratio,
)
from inrcodec.video._images import ImageSource, is_pattern
from inrcodec.video._pixels import (
    Orientation,
    bit_depth_of,
    check_colors,
    color_tags_of,
    resize,
    to_rgb,
)
from inrcodec.video._types import (
    CodedSize,
    RawVideoFormat,
    VideoFrame,
    VideoMetadata,
    exact_rate,
)

_MOST_JITTER_FRAMES = 8  # stamps that go back by more are of a clock that begins anew


class VideoReader:
    """Reads a video as RGB frames, one at a time. Iterate it as often as you like.

    Args:
        source: a file that FFmpeg opens, a folder of images, a pattern such as `frames/%05d.png`,
            or raw `.yuv` (with `raw`).
        frames: `(A, B)` delivers frames A to B - 1, counted from 0; `B` may be None for the end.
        crop: `(width, height)` cut from the middle of the upright frame, before `resize`.
        resize: `(width, height)`; area average to shrink, bicubic to enlarge. Where it changes the
            shape, the sample aspect ratio keeps the picture's shape on the display.
        raw: size, pixel format and rate of a raw file.
        fps: rate of a folder or pattern of images, 25 when not given.

    A frame lasts until the next one; the last one as long as the source says, or as the one before.
    Missing time stamps are counted on at the average rate.

    Raises:
        VideoError: whatever is wrong with the source or with what is asked of it. What only shows
            while reading (damaged data, `frames` past the end) is raised while iterating.
    """

    metadata: VideoMetadata

    def __init__(
        self,
        source: str | Path,
        *,
        frames: tuple[int, int | None] | None = None,
        resize: tuple[int, int] | None = None,
        crop: tuple[int, int] | None = None,
        raw: RawVideoFormat | None = None,
        fps: Fraction | float | None = None,
    ) -> None:
        rate = None if fps is None else exact_rate(fps)
        self._source = _open_source(str(source), raw=raw, fps=rate)
        self._range = checked_range(frames, str(source))
        self._crop, self._resize = crop, resize
        self._has_warned = False
        if self._source.is_count_exact and self._source.num_frames is not None:
            check_end(self._range, self._source.num_frames, self._source.name)
        self._first = _first_frame(self._source)
        self._orientation = Orientation(self._first, source=self._source.name)
        self.metadata = self._describe(self._first)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open between two iterations; here for symmetry with `VideoWriter`."""

    def __iter__(self) -> Iterator[VideoFrame]:
        """Yield the frames asked for, decoding as it goes.

        Raises:
            VideoError: damaged data, a change of size, transparency, or `frames` past the end.
        """
        self._warn_of_losses()
        for index, frame, pts, duration in self._asked_for():
            yield VideoFrame(self._picture(frame, index), pts, duration)

    @property
    def has_own_420(self) -> bool:
        """Whether the frames as delivered are 8-bit 4:2:0 in the source: see `own_420`.

        That is planar YUV of limited range, upright as it is, not resized, and cropped, if at all,
        along even columns and rows, so that chroma is cut where luma is.
        """
        return self._keeps_420("yuv420p")

    @property
    def has_rounded_420(self) -> bool:
        """Whether they are 4:2:0 of 10 or 12 bits there, likewise: `own_420` rounds them to 8."""
        return self._keeps_420("yuv420p10le", "yuv420p12le")

    def own_420(self) -> Iterator[bytes]:
        """Yield the source's own samples of the frames asked for, without a conversion.

        One item a frame: Y `(H, W)`, U and V `(ceil(H/2), ceil(W/2))`, uint8, one after another,
        cut as the RGB frames are.

        Raises:
            ValueError: neither `has_own_420` nor `has_rounded_420`.
            VideoError: as while reading RGB, or a frame is of another format.
        """
        if not (self.has_own_420 or self.has_rounded_420):
            raise ValueError(f"{self._source.name}: has no 4:2:0 of its own for these frames")
        self._warn_of_losses()
        for index, frame, _, _ in self._asked_for():
            where = self._source.frame_name(index)
            self._check_shape(frame, where)
            if frame.format.name != self._first.format.name:
                raise VideoError(
                    f"{where}: pixel format {frame.format.name}, but the first frame has "
                    f"{self._first.format.name}; all frames must be of one format"
                )
            yield crop_planes(frame, self._crop)

    def coded_size(self) -> CodedSize:
        """Return bytes and frames of the whole source, whatever part of it is asked for.

        Raises:
            VideoError: a file is gone, or is damaged so that it cannot be read to its end.
        """
        return self._source.coded_size()

    def _keeps_420(self, *formats: str) -> bool:
        first = self._first
        size = first.width, first.height
        crop = self._crop or size
        cuts = (*size, *crop, *crop_corner(size, crop))
        return (
            first.format.name in formats
            and not self.metadata.color.full_range
            and self._orientation.is_upright
            and self._resize in (None, crop)
            and (crop == size or all(cut % 2 == 0 for cut in cuts))
        )

    def _asked_for(self) -> Iterator[tuple[int, AvFrame, int, int]]:
        """Yield index, frame, pts and duration of the frames asked for."""
        start, stop = self._range
        num_frames = 0
        for index, (frame, pts, duration) in enumerate(self._timed()):
            num_frames += 1
            if index < start:
                continue
            yield index, frame, pts, duration
            if stop is not None and index == stop - 1:
                return
        check_end(self._range, num_frames, self._source.name)

    def _describe(self, frame: AvFrame) -> VideoMetadata:
        name = self._source.name
        color = color_tags_of(frame)
        check_colors(color, name)
        orientation = self._orientation
        width, height = frame.width, frame.height
        aspect = self._source.sample_aspect_ratio
        if orientation.transposed:
            width, height, aspect = height, width, 1 / aspect
        if self._crop is not None:
            width, height = checked_crop(self._crop, (width, height), name)
        if self._resize is not None:
            old_shape = Fraction(width, height)
            width, height = checked_resize(self._resize, name)
            aspect = limited_ratio(aspect * old_shape / Fraction(width, height))
        return VideoMetadata(
            height=height,
            width=width,
            time_base=self._source.time_base,
            average_fps=self._source.average_fps,
            sample_aspect_ratio=aspect,
            color=color,
            num_frames_from_header=self._source.num_frames,
            source=name,
            pixel_format=frame.format.name,
            bit_depth=bit_depth_of(frame),
            codec=self._source.codec,
            rotation=orientation.degrees_clockwise,
        )

    def _timed(self) -> Iterator[tuple[AvFrame, int, int]]:
        """Yield frames with pts and duration, both known once the next frame is there.

        Where the clock begins anew, as in MPEG streams put one behind the other, what comes after
        goes on from where it was.
        """
        step = max(1, round(1 / (self._source.average_fps * self._source.time_base)))
        held: tuple[AvFrame, int] | None = None
        duration, offset = step, 0
        for frame in self._source.decode():
            pts = None if frame.pts is None else frame.pts + offset
            if held is not None:
                if pts is None:
                    pts = held[1] + step
                elif pts < held[1] - _MOST_JITTER_FRAMES * step:
                    offset += held[1] + step - pts
                    self._warn_of_a_new_clock(pts, held[1])
                    pts = held[1] + step
                elif pts <= held[1]:
                    pts = self._repaired(pts, held[1])
                duration = pts - held[1]
                yield held[0], held[1], duration
            if pts is None:  # of the first frame; FFmpeg derives its decoding time from the packets
                pts = frame.dts or 0
            held = frame, pts
        if held is not None:
            yield held[0], held[1], held[0].duration or duration

    def _warn_of_a_new_clock(self, pts: int, previous: int) -> None:
        seconds = (float(ticks * self._source.time_base) for ticks in (previous, pts))
        warnings.warn(
            "{}: the clock goes back from {:.3f} to {:.3f} s; what comes after goes on from "
            "there".format(self._source.name, *seconds),
            stacklevel=2,
        )

    def _repaired(self, pts: int, previous: int) -> int:
        warnings.warn(
            f"{self._source.name}: time stamp {pts} does not come after {previous}; "
            f"{previous + 1} is used",
            stacklevel=2,
        )
        return previous + 1

    def _picture(self, frame: AvFrame, index: int) -> torch.Tensor:
        where = self._source.frame_name(index)
        self._check_shape(frame, where)
        check_colors(color_tags_of(frame), where)
        upright = self._orientation.apply(to_rgb(frame, where=where))
        image = upright.transpose(2, 0, 1)  # (3, H, W)
        if self._crop is not None:
            image = center_crop(image, self._crop)
        if self._resize is not None:
            image = resize(image, self._resize)
        return torch.from_numpy(np.array(image, order="C"))

    def _check_shape(self, frame: AvFrame, where: str) -> None:
        first = self._first
        if (frame.width, frame.height) != (first.width, first.height):
            raise VideoError(
                f"{where}: {frame.width}x{frame.height} pixels, but the first frame has "
                f"{first.width}x{first.height}; all frames must be of one size"
            )
        if Orientation(frame, source=where) != self._orientation:
            raise VideoError(
                f"{where}: is to be turned otherwise than the first frame; all frames must be "
                "turned alike"
            )

    def _warn_of_losses(self) -> None:
        """Say, once, what the frames do not have of the source."""
        if self._has_warned:
            return
        self._has_warned = True
        if self.metadata.bit_depth > 8:
            warnings.warn(
                f"{self._source.name}: {self.metadata.bit_depth}-bit video "
                f"({self.metadata.pixel_format}) is rounded to 8 bits",
                stacklevel=3,
            )
        # Of a PNG this says how its file is ordered.
        if isinstance(self._source, ContainerSource) and self._first.interlaced_frame:
            warnings.warn(
                f"{self._source.name}: interlaced video is read as whole frames, both fields in "
                "one; deinterlace it first: ffmpeg -i IN -vf bwdif -c:a copy OUT.mkv",
                stacklevel=3,
            )


def _open_source(
    source: str, *, raw: RawVideoFormat | None, fps: Fraction | None
) -> ContainerSource | ImageSource:
    path = Path(source)
    is_images = path.is_dir() or (is_pattern(source) and not path.exists())
    if is_images:
        if raw is not None:
            raise VideoError(f"{source}: images say their own size; only --fps can be given")
        return ImageSource(source, fps=None if fps is None else checked_rate(fps, source))
    if raw is None and path.suffix.lower() == ".yuv" and path.exists():
        raise VideoError(
            f"{source}: raw video does not say what it is; "
            "give --video-size WxH --pix-fmt F --fps R"
        )
    if fps is not None:
        raise VideoError(f"{source}: has a frame rate of its own; only images can be given one")
    return ContainerSource(source, raw=raw)


def _first_frame(source: ContainerSource | ImageSource) -> AvFrame:
    for frame in source.decode():
        return frame
    raise VideoError(f"{source.name}: no frames in its video stream")

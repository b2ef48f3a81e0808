"""The source of an encode: dataset names resolved, frames of all segments read into memory.

In: what the user calls the source. Out: `(N, 3, H, W)` uint8 frames with exact time stamps, and
the audio packets of the same interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from inrcodec import datasets
from inrcodec.bitstream import MAX_FRAMES, MAX_PIXELS, MAX_SIDE, TimeStamps, is_inr_file
from inrcodec.errors import VideoError
from inrcodec.video import (
    AudioStream,
    RawVideoFormat,
    VideoFrame,
    VideoMetadata,
    VideoReader,
    read_audio,
)
from inrcodec.video._types import exact_rate


@dataclass(frozen=True)
class SourceOptions:
    """Which part of a source is encoded, and how it is read."""

    frames: tuple[int, int | None] | None = None  # half-open range A:B
    resize: tuple[int, int] | None = None  # (width, height)
    crop: tuple[int, int] | None = None  # (width, height), central, before the resize
    raw: RawVideoFormat | None = None  # for .yuv; None: what the dataset or the file's name says
    fps: Fraction | float | None = None  # of a folder or pattern of images
    audio: bool = True


@dataclass(frozen=True)
class Source:
    """A clip in memory."""

    frames: Tensor  # (N, 3, H, W) uint8
    timestamps: TimeStamps
    metadata: VideoMetadata
    audio: list[AudioStream]


def source_path(name: str | Path) -> str | Path:
    """Return the file of a dataset's name, or `name` itself when it is a path.

    An existing file or folder goes before a dataset of the same name.
    """
    return datasets.path(str(name)) if datasets.is_name(name) else name


def raw_format(name: str | Path, path: str | Path) -> RawVideoFormat | None:
    """Return how a raw file is read, where a dataset's entry or the file's name says it.

    Args:
        name: what the user calls the source.
        path: its file, as `source_path` gives it.
    """
    layout = datasets.raw_layout(name, path)
    if layout is None:
        return None
    return RawVideoFormat(layout.width, layout.height, layout.pixel_format, layout.fps)


def read_source(
    name: str | Path,
    options: SourceOptions,
    *,
    progress: Callable[[Iterable[VideoFrame], int | None], Iterable[VideoFrame]],
) -> Source:
    """Read a clip.

    Args:
        name: a file, a folder or pattern of images, or a dataset's name.
        options: which part of it.
        progress: wraps the frames as they are read; given the expected number of them.

    Raises:
        ValueError: the format of a raw file is given, and the source is none.
        VideoError: the source cannot be read, or its time stamps do not increase.
    """
    path = source_path(name)
    if options.raw is not None and Path(path).suffix.lower() != ".yuv":
        raise ValueError(f"raw (--video-size) is the format of raw .yuv files, and {path} is none")
    if is_inr_file(path):
        raise VideoError(f"{path}: is an .inr file; make a video of it first: inrcodec decode")
    raw, fps = options.raw or raw_format(name, path), options.fps
    if raw is not None and options.raw is None and fps is not None:
        raw, fps = replace(raw, fps=exact_rate(fps)), None  # its name says another, or none
    with VideoReader(
        path,
        frames=options.frames,
        resize=options.resize,
        crop=options.crop,
        raw=raw,
        fps=fps,
    ) as reader:
        metadata = reader.metadata
        width, height = metadata.width, metadata.height
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise VideoError(
                f"{path}: frames of {width}x{height}; a file has sides of up to {MAX_SIDE} and "
                f"{MAX_PIXELS} pixels: take a part or make it smaller (--crop, --resize)"
            )
        read = list(progress(reader, _expected_frames(metadata, options.frames)))
    if not read:
        raise VideoError(f"{path}: no frames")
    if len(read) > MAX_FRAMES:
        raise VideoError(f"{path}: {len(read)} frames, must be <= {MAX_FRAMES}")
    try:
        timestamps = TimeStamps.from_pts(
            [frame.pts for frame in read], last_duration=read[-1].duration
        )
    except ValueError as exc:
        raise VideoError(f"{path}: {exc}") from exc
    audio = _read_audio(path, options, timestamps, metadata.time_base)
    frames = [frame.rgb for frame in read]
    del read
    return Source(_stack(frames), timestamps, metadata, audio)


def _stack(frames: list[Tensor]) -> Tensor:
    """Return frames as one tensor; the list is emptied, so that memory holds each of them once."""
    stacked = torch.empty((len(frames), *frames[0].shape), dtype=frames[0].dtype)
    for index in reversed(range(len(frames))):
        stacked[index] = frames.pop()
    return stacked


def _expected_frames(metadata: VideoMetadata, wanted: tuple[int, int | None] | None) -> int | None:
    total = metadata.num_frames_from_header
    if wanted is None:
        return total
    end = total if wanted[1] is None else wanted[1]
    return None if end is None else max(0, end - wanted[0])


def _read_audio(
    path: str | Path, options: SourceOptions, timestamps: TimeStamps, time_base: Fraction
) -> list[AudioStream]:
    if not options.audio:
        return []
    if options.frames is None:
        return read_audio(path)
    return read_audio(
        path,
        start_seconds=timestamps.first * time_base if options.frames[0] > 0 else None,
        end_seconds=timestamps.end * time_base,
    )

"""Decoding a file, or a range of its frames, into a video file, images or planes.

In: an `.inr` file. Out: whatever `VideoWriter` writes, with the audio of the same interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from torch import Tensor

from inrcodec._decoder import VideoDecoder
from inrcodec._progress import ProgressBars
from inrcodec.video import (
    AudioStream,
    VideoFrame,
    VideoMetadata,
    VideoWriter,
    cut_audio,
    takes_audio,
)
from inrcodec.video._plain_sinks import PLAIN_ENDINGS, is_taken_for_another

_AT_ONCE = 8


def decode(
    source: str | Path,
    output: str | Path | BinaryIO,
    *,
    frames: tuple[int, int | None] | None = None,
    device: str = "auto",
    precision: str = "fp32",
    audio: bool = True,
    progress: bool = False,
) -> int:
    """Decode an `.inr` file and return the number of frames written.

    Args:
        source: the `.inr` file.
        output: by its ending `.mp4`, `.mkv` or `.webm` (with the audio; `.webm` has room for Opus
            and Vorbis alone), `.y4m`, `.yuv`, a pattern such as `%05d.png`, or `-` or a binary
            file for y4m.
        frames: half-open range of frames; all of them by default.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `fp32`, the reference; `bf16` or `fp16` are faster; `auto` is `bf16` where the
            device computes in it.
        audio: whether to write the audio where the output can carry it.
        progress: show progress on stderr.

    Raises:
        BitstreamError: the file is damaged.
        VideoError: the output cannot be written.
        ValueError: the range leaves the video.
    """
    with VideoDecoder(source, device=device, precision=precision) as decoder:
        start, stop = check_range(frames, len(decoder))
        metadata = decoder.writer_metadata(start, stop)
        _warn_of_matrix(output, metadata)
        # Audio that is not written need not be sound.
        streams = _overlapping(decoder, start, stop) if audio and takes_audio(output) else []
        bars = ProgressBars(enabled=progress)
        with VideoWriter(output, metadata=metadata, audio=streams) as writer:
            for index, rgb in enumerate(
                bars.wrap(_decoded(decoder, start, stop), stop - start, "decode"), start
            ):
                pts, duration = decoder.pts_of(index)
                writer.write(VideoFrame(rgb, pts, duration))
    return stop - start


def _warn_of_matrix(output: str | Path | BinaryIO, metadata: VideoMetadata) -> None:
    """Say where planes will be taken for others than they are."""
    named = isinstance(output, (str, Path))
    is_plain = not named or str(output) == "-" or Path(str(output)).suffix.lower() in PLAIN_ENDINGS
    if is_plain and is_taken_for_another(metadata.color):
        warnings.warn(
            f"{output if named else 'output'}: planes have the source's colour matrix, "
            f"{metadata.color.matrix} of H.273 (1 is BT.709), which y4m and raw planes cannot say: "
            "what reads them must be told",
            stacklevel=3,
        )


def check_range(frames: tuple[int, int | None] | None, num_frames: int) -> tuple[int, int]:
    """Return start and stop of a half-open range; None is all frames, a stop of None their end.

    Raises:
        ValueError: the range leaves the video, or is empty.
    """
    start, stop = frames or (0, None)
    stop = num_frames if stop is None else stop
    if not 0 <= start < stop <= num_frames:
        raise ValueError(f"frames are {start}:{stop}, must be a range within 0:{num_frames}")
    return start, stop


def _decoded(decoder: VideoDecoder, start: int, stop: int) -> Iterator[Tensor]:
    for first in range(start, stop, _AT_ONCE):
        yield from decoder[first : min(first + _AT_ONCE, stop)].cpu()


def _overlapping(decoder: VideoDecoder, start: int, stop: int) -> list[AudioStream]:
    """Return the audio of the frames' interval, up to both ends of the video all there is."""
    begin, end = decoder.interval_of(start, stop)
    cut = [
        cut_audio(stream, begin if start > 0 else None, end if stop < len(decoder) else None)
        for stream in decoder.audio()
    ]
    return [stream for stream in cut if stream.packets]

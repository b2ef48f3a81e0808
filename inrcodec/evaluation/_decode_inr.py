"""What an `.inr` file decodes to, as a raw file: whole, or cut as `VideoReader` cuts a video."""

from __future__ import annotations

import time
from pathlib import Path

from inrcodec._decoder import VideoDecoder
from inrcodec.evaluation._cut import Cut
from inrcodec.evaluation._raw import RawFrames, writing

_DECODED_AT_ONCE = 8
_WHOLE = Cut()


def decode_inr(path: Path, out: Path, *, device: str, cut: Cut = _WHOLE) -> tuple[RawFrames, float]:
    """Decode an `.inr` file to raw RGB; returns the frames and the seconds of decoding alone.

    Raises:
        BitstreamError: the file is damaged.
        EvaluationError: the output cannot be written.
        VideoError: the video has not the frames or pixels that the cut takes.
    """
    start = time.perf_counter()
    with VideoDecoder(path, device=device) as decoder, writing(out) as file:
        seconds = time.perf_counter() - start
        video = decoder.metadata
        width, height = cut.size_of((video.width, video.height), str(path))
        wanted = cut.range_of(len(decoder), str(path))
        for first in wanted[::_DECODED_AT_ONCE]:
            start = time.perf_counter()
            frames = decoder[first : min(first + _DECODED_AT_ONCE, wanted.stop)].cpu()
            seconds += time.perf_counter() - start
            for frame in frames.numpy():  # (3, H, W)
                file.write(cut.apply(frame).transpose(1, 2, 0).tobytes())
    return RawFrames(out, "rgb24", width, height, len(wanted)), seconds

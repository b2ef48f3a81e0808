"""Conversion between RGB and 4:2:0 of 8 bits by FFmpeg's swscale: the protocol for resized frames.

Chroma is computed at full resolution before it is subsampled and interpolated back to it (Lanczos),
with accurate rounding; matrix, range and chroma location are spelled out in both directions. This
is the protocol of the project's baselines: x264 veryslow at crf 22 on Bunny (1280x640 crop, 132
frames) comes to the baseline's 1,034,430 bytes and 39.474 dB.

The way there and back costs RGB what 4:2:0 cannot hold. On that clip it alone limits PSNR to 46.98
dB (46.66 with chroma on the left in both directions, 45.5 where the two differ, 45.98 with FFmpeg's
default conversion back, 46.27 at 640x320). So it is only used where the source has no 4:2:0 of its
own; `_reader_colour.py` is for where it has.
"""

from __future__ import annotations

from pathlib import Path

from inrcodec.evaluation._ffmpeg import raw_input, run_ffmpeg
from inrcodec.evaluation._raw import RawFrames
from inrcodec.video._part_file import PartFile

SWS_FLAGS = "accurate_rnd+full_chroma_int+full_chroma_inp+lanczos"
CHROMA_LOCATION = "center"  # what FFmpeg takes for granted where nothing is said
MATRICES = ("bt601", "bt709", "bt2020")


def rgb_to_yuv420(rgb: RawFrames, out: Path, *, matrix: str, flags: str = SWS_FLAGS) -> RawFrames:
    """Write rgb24 frames as yuv420p in limited range.

    Raises:
        EvaluationError: the input is not what it should be, or FFmpeg fails.
        ValueError: not rgb24, or an unknown matrix.
    """
    if rgb.pixel_format != "rgb24":
        raise ValueError(f"{rgb.path}: is {rgb.pixel_format}, must be rgb24")
    side = f"out_color_matrix={_checked(matrix)}:out_range=tv:out_chroma_loc={CHROMA_LOCATION}"
    return _convert(rgb, out, "yuv420p", f"scale=in_range=pc:{side}:flags={flags}")


def yuv420_to_rgb(yuv: RawFrames, out: Path, *, matrix: str) -> RawFrames:
    """Write yuv420p or yuv420p10le frames in limited range as rgb24.

    Raises:
        EvaluationError: the input is not what it should be, or FFmpeg fails.
        ValueError: rgb24 already, or an unknown matrix.
    """
    if yuv.pixel_format == "rgb24":
        raise ValueError(f"{yuv.path}: is rgb24, must be 4:2:0")
    options = ":".join(f"{name}={value}" for name, value in to_rgb_scale(matrix).items())
    return _convert(yuv, out, "rgb24", f"scale={options}")


def to_rgb_scale(matrix: str) -> dict[str, str]:
    """Return the options of FFmpeg's `scale` from limited-range 4:2:0 to RGB.

    Raises:
        ValueError: an unknown matrix.
    """
    source = {"in_color_matrix": _checked(matrix), "in_range": "limited"}
    return {**source, "in_chroma_loc": CHROMA_LOCATION, "out_range": "full", "flags": SWS_FLAGS}


def _checked(matrix: str) -> str:
    if matrix not in MATRICES:
        raise ValueError(f"colour matrix {matrix!r} must be one of {', '.join(MATRICES)}")
    return matrix


def _convert(frames: RawFrames, out: Path, pixel_format: str, filter_: str) -> RawFrames:
    frames.check()
    part = PartFile(out)
    output = ["-f", "rawvideo", "-fps_mode", "passthrough", f"file:{part.path.resolve()}"]
    try:
        run_ffmpeg(
            [*raw_input(frames), "-vf", f"{filter_},format={pixel_format}", *output],
            task=f"{frames.path}: {frames.pixel_format} to {pixel_format}",
        )
        made = RawFrames(part.path, pixel_format, frames.width, frames.height, frames.num_frames)
        made.check()
        part.commit()
    finally:
        part.discard()
    return RawFrames(out, pixel_format, frames.width, frames.height, frames.num_frames)

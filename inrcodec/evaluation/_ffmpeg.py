"""Runs the FFmpeg that imageio-ffmpeg carries; what it says of an error comes in one line."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._raw import RawFrames


def run_ffmpeg(arguments: Sequence[str], *, task: str, folder: Path | None = None) -> None:
    """Run FFmpeg to its end.

    Args:
        arguments: what follows the program's name.
        task: what to call it in an error.
        folder: the working folder, where filters write their logs under plain names.

    Raises:
        EvaluationError: it failed; the last line that it wrote is in the message.
    """
    try:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", *arguments]
        run = subprocess.run(command, cwd=folder, capture_output=True)
    except (OSError, RuntimeError) as exc:  # RuntimeError: there is none for this machine
        raise EvaluationError(f"{task}: FFmpeg cannot be run: {exc}") from exc
    if run.returncode:
        words = run.stderr.decode(errors="replace").strip().splitlines()
        raise EvaluationError(f"{task}: FFmpeg: {words[-1] if words else run.returncode}")


def raw_input(frames: RawFrames, *, fps: Fraction = Fraction(25)) -> list[str]:
    """Return the options that make a raw file an input of FFmpeg."""
    return [
        *("-f", "rawvideo", "-pixel_format", frames.pixel_format),
        *("-video_size", f"{frames.width}x{frames.height}"),
        *("-framerate", f"{fps.numerator}/{fps.denominator}"),
        # The protocol is spelled out, so that a colon in the file's name is only a colon.
        *("-i", f"file:{frames.path.resolve()}"),
    ]

"""FFmpeg as a child process: imageio-ffmpeg's binary, which brings every encoder and filter.

In: FFmpeg's arguments. Out: the seconds it took, or one line of what FFmpeg had to say.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from inrcodec.errors import CodecError
from inrcodec.evaluation._raw import RawFrames

_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y")
# SVT-AV1 writes to standard error by itself, whatever FFmpeg's log level is: 1 is errors only.
_ENVIRONMENT = {"SVT_LOG": "1"}
_MAX_MESSAGE = 400  # characters


def run_ffmpeg(arguments: Sequence[str], *, task: str, folder: Path | None = None) -> float:
    """Run FFmpeg to its end and return the wall clock's seconds.

    Ctrl-C, or any other exception, kills the child before it goes on.

    Args:
        arguments: what follows the program's name.
        task: what to call it in an error, such as "x265 veryslow, crf 30".
        folder: the working folder, where filters write their logs under plain names; None for this
            process's own.

    Raises:
        CodecError: FFmpeg cannot be started, or fails; the message is one line.
    """
    command = [ffmpeg_path(), *_QUIET, *arguments]
    start = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    except OSError as exc:
        raise CodecError(f"{task}: {command[0]} cannot be run: {exc.strerror}") from exc
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        said = _one_line(done.stderr.decode(errors="replace"))
        raise CodecError(f"{task}: FFmpeg failed: {said or f'exit status {done.returncode}'}")
    return seconds


def raw_input(frames: RawFrames, *, fps: Fraction = Fraction(25)) -> list[str]:
    """Return the options that make a raw file an input of FFmpeg."""
    return [
        *("-f", "rawvideo", "-pixel_format", frames.pixel_format),
        *("-video_size", f"{frames.width}x{frames.height}"),
        *("-framerate", f"{fps.numerator}/{fps.denominator}"),
        # The protocol is spelled out, so that a colon in the file's name is only a colon.
        *("-i", f"file:{frames.path.resolve()}"),
    ]


def ffmpeg_path() -> str:
    """Return imageio-ffmpeg's binary.

    Raises:
        CodecError: there is none for this machine.
    """
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as exc:
        raise CodecError(f"imageio-ffmpeg has no FFmpeg for this machine: {exc}") from exc


def ffmpeg_version() -> str:
    """Return the version of that binary, in its own words."""
    import imageio_ffmpeg

    ffmpeg_path()
    return str(imageio_ffmpeg.get_ffmpeg_version())


def _one_line(stderr: str) -> str:
    r"""FFmpeg's first two lines, the cause, without the addresses of its objects.

    >>> _one_line("[libx264 @ 0x5f] bad preset\n[vost#0:0 @ 0x5e] Error\nConversion failed!")
    'bad preset; Error'
    """
    lines = [re.sub(r"\[[^\]]*@ 0x[0-9a-f]+\] *", "", x).strip() for x in stderr.splitlines()]
    return "; ".join(list(dict.fromkeys(filter(None, lines)))[:2])[:_MAX_MESSAGE]

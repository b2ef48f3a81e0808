"""`inrcodec play IN.inr`: decoded frames, as y4m through a pipe, to the player that is there."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from typing import Any, BinaryIO, cast

from inrcodec.cli import _parser as p

_PLAYERS = {
    "ffplay": ["-hide_banner", "-loglevel", "error", "-autoexit", "-f", "yuv4mpegpipe", "-i", "-"],
    "mpv": ["--really-quiet", "-"],
}


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "play",
        help="play an .inr file with ffplay or mpv",
        description="Play an .inr file with ffplay or mpv, without sound.",
    )
    parser.add_argument("input", metavar="IN.inr")
    parser.set_defaults(run=run)
    parser.add_argument("--frames", type=p.frame_range, metavar="A:B", help="half-open range")
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="P",
        help="auto (default): bf16 where the device computes in it; or fp32, bf16, fp16",
    )
    p.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Decode into the player's standard input; its being closed early is no failure."""
    from inrcodec.errors import VideoError

    player = next((path for name in _PLAYERS if (path := shutil.which(name))), None)
    if player is None:
        raise VideoError(
            "no player found: install ffplay (package ffmpeg) or mpv, "
            "or decode to .mp4 and open that"
        )
    from inrcodec import VideoDecoder, decode

    told: dict[str, Any] = {"device": arguments.device, "precision": arguments.precision}
    with VideoDecoder(arguments.input, **told) as decoder:
        # What cannot be played is told before a window opens, most of it.
        start, stop = arguments.frames or (0, None)
        decoder[start]
        if stop is not None:
            decoder[stop - 1]
    options = next(options for name, options in _PLAYERS.items() if name in player.split("/")[-1])
    process = subprocess.Popen([player, *options], stdin=subprocess.PIPE)
    assert process.stdin is not None  # it is a pipe
    try:
        decode(arguments.input, cast(BinaryIO, process.stdin), frames=arguments.frames, **told)
        process.stdin.close()
        return 1 if process.wait() else 0
    except BaseException as exc:
        is_over = process.poll() is not None
        process.kill()
        process.wait()
        if not (is_over and isinstance(exc, (BrokenPipeError, VideoError))):
            raise
    return 1 if process.wait() else 0

"""`inrcodec play IN.inr`: decoded frames, as y4m through a pipe, to the player that is there."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import warnings
from typing import Any, BinaryIO, cast

from inrcodec.cli import _parser as p

_PLAYERS = {
    "ffplay": ["-hide_banner", "-loglevel", "error", "-autoexit", "-f", "yuv4mpegpipe", "-i", "-"],
    "mpv": ["--really-quiet", "-"],
}
# How they are told the colour matrix, which y4m cannot say; both guess it by the height. Their
# names of those of H.273; RGB sources become BT.601 there.
_MATRIX_OPTIONS = {
    "ffplay": ["-vf", "setparams=colorspace={}"],
    "mpv": ["--vf=format:colormatrix={}"],
}
_MATRICES = {
    "ffplay": {1: "bt709", 4: "fcc", 7: "smpte240m", 9: "bt2020nc"},
    "mpv": {1: "bt.709", 7: "smpte-240m", 9: "bt.2020-ncl"},
}
_BT601 = {"ffplay": "bt470bg", "mpv": "bt.601"}
_CLOSING_SECONDS = 2.0  # that a player may take to end when it has closed its input


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
        help="auto (default): bf16 where the device computes in it, under 0.05 dB worse; "
        "or fp32, bf16, fp16",
    )
    p.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Decode into the player's standard input; that the player is quit early is no failure."""
    from inrcodec.errors import VideoError

    player = next((path for name in _PLAYERS if (path := shutil.which(name))), None)
    if player is None:
        raise VideoError(
            "no player found: install ffplay (package ffmpeg) or mpv, "
            "or decode to .mp4 and open that"
        )
    from inrcodec import VideoDecoder
    from inrcodec._decode import check_range

    told: dict[str, Any] = {"device": arguments.device, "precision": arguments.precision}
    with VideoDecoder(arguments.input, **told) as decoder:
        # What cannot be played is told before a window opens, most of it.
        start, stop = check_range(arguments.frames, len(decoder))
        decoder[start]
        if arguments.frames is not None:
            decoder[stop - 1]
        matrix = decoder.header.color[2]
    name = next(name for name in _PLAYERS if name in player.split("/")[-1])
    command = [player, *player_options(name, matrix)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    pipe = cast(BinaryIO, process.stdin)
    try:
        _feed(process, pipe, arguments.input, frames=arguments.frames, **told)
        return 1 if process.wait() else 0
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def player_options(player: str, matrix: int) -> list[str]:
    """Return the options of `ffplay` or `mpv` for y4m of this matrix of H.273 at its input."""
    named = _MATRICES[player].get(matrix, _BT601[player])
    return [option.format(named) for option in _MATRIX_OPTIONS[player]] + _PLAYERS[player]


def _feed(process: subprocess.Popen[bytes], pipe: BinaryIO, source: str, **told: Any) -> None:
    """Write y4m to the process until it ends, or closes its input and ends soon after."""
    from inrcodec import decode
    from inrcodec.errors import VideoError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*planes have the source's colour matrix")
            decode(source, pipe, audio=False, **told)
        pipe.close()
    except (BrokenPipeError, VideoError) as exc:
        if not (isinstance(exc.__cause__ or exc, BrokenPipeError) and _ends_soon(process)):
            raise


def _ends_soon(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_CLOSING_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True

"""`inrcodec decode IN.inr OUT`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from inrcodec.cli import _parser as p


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "decode",
        help="decode an .inr file into a video or images",
        description="Decode an .inr file into a video or images.",
    )
    parser.add_argument("input", metavar="IN.inr")
    parser.add_argument(
        "output",
        metavar="OUT",
        help="by its ending: .mp4, .mkv, .webm (compressed again, by H.264 or VP9, with the audio; "
        ".webm with Opus or Vorbis alone), .y4m or .yuv (planes, 4:2:0, or 4:4:4 where a "
        "side is odd), %%05d.png (the exact RGB), or - for y4m on standard output",
    )
    parser.set_defaults(run=run)
    parser.add_argument("--frames", type=p.frame_range, metavar="A:B", help="half-open range")
    parser.add_argument("--no-audio", action="store_true", help="leave the audio out")
    parser.add_argument(
        "--precision",
        default="fp32",
        metavar="P",
        help="fp32 (default); bf16 or fp16: faster, and under 0.05 dB worse; "
        "auto: bf16 where the device computes in it",
    )
    p.add_device(parser)
    p.add_verbosity(parser)


def run(arguments: argparse.Namespace) -> int:
    """Decode."""
    from inrcodec import decode

    num_frames = decode(
        arguments.input,
        arguments.output,
        frames=arguments.frames,
        device=arguments.device,
        precision=arguments.precision,
        audio=not arguments.no_audio,
        progress=not arguments.quiet,
    )
    if not arguments.quiet:
        print(f"{arguments.output}: {num_frames} frames", file=sys.stderr)
    return 0

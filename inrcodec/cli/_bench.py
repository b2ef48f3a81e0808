"""`inrcodec bench`: how fast this machine fits, decodes and codes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from inrcodec.cli import _parser as p

_SIZE, _NUM_FRAMES, _BPP, _SECONDS = (640, 360), 32, 0.2, 30.0


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast this machine fits, decodes and codes",
        description="Measure this machine: encode a made clip within --time, decode the file, and "
        "code 3 million weights. Other programs at work meanwhile make it slower than it is.",
    )
    parser.add_argument("--preset", default="medium", metavar="NAME", help="default medium")
    clip = parser.add_argument_group("clip")
    p.add_clip(clip, size=_SIZE, num_frames=_NUM_FRAMES)
    clip.add_argument(
        "--bpp",
        type=p.positive_float,
        default=_BPP,
        metavar="X",
        help="rate (0.2: with 32 frames the bytes of five seconds at 0.05)",
    )
    parser.add_argument(
        "--time", type=p.seconds, default=_SECONDS, metavar="T", help="of the encode (30s)"
    )
    p.add_device(parser)
    parser.add_argument("--json", action="store_true")
    p.add_verbosity(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was measured."""
    from inrcodec._bench import measure_speed

    speed = measure_speed(
        preset=arguments.preset,
        size=arguments.size,
        num_frames=arguments.frames,
        bpp=arguments.bpp,
        time_seconds=arguments.time,
        device=arguments.device,
        progress=not arguments.quiet,
    )
    if arguments.json:
        print(json.dumps(speed.to_dict(), indent=2))
    else:
        print(p.printable(speed.render()))
    return 0

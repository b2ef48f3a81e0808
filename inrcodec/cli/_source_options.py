"""Options of a source: which part of it is taken, and how a raw `.yuv` is read."""

from __future__ import annotations

import argparse
from typing import Any

from inrcodec.cli import _parser as p


def add_source(group: Any) -> None:
    """Add which part of a source is taken, and how a raw `.yuv` is read."""
    group.add_argument("--frames", type=p.frame_range, metavar="A:B", help="half-open range")
    group.add_argument("--crop", type=p.pixels, metavar="WxH", help="central, before the resize")
    group.add_argument("--resize", type=p.pixels, metavar="WxH")
    group.add_argument("--video-size", type=p.pixels, metavar="WxH", help="of a raw .yuv")
    group.add_argument("--pix-fmt", metavar="F", help="of a raw .yuv (default yuv420p)")
    group.add_argument("--fps", type=p.frame_rate, metavar="R", help="of a raw .yuv (default 25)")


def raw_format(arguments: argparse.Namespace) -> Any:
    """Return the format of raw `.yuv` files, or None where its size is not given.

    Raises:
        ValueError: something else of it is given.
    """
    if arguments.video_size is None:
        if arguments.pix_fmt is not None or arguments.fps is not None:
            raise ValueError("--pix-fmt and --fps go with --video-size, for a raw .yuv")
        return None
    from fractions import Fraction

    from inrcodec.video import RawVideoFormat

    width, height = arguments.video_size
    return RawVideoFormat(
        width, height, arguments.pix_fmt or "yuv420p", arguments.fps or Fraction(25)
    )

"""Options of a source: which part of it is taken, and how a raw `.yuv` is read."""

from __future__ import annotations

import argparse
from typing import Any

from inrcodec.cli import _parser as p


def add_source(group: Any, *, images_have_rate: bool = False) -> None:
    """Add which part of a source is taken, and how a raw `.yuv` is read.

    Args:
        group: of the parser.
        images_have_rate: whether `--fps` is for folders and patterns of images too.
    """
    group.add_argument(
        "--frames",
        type=p.frame_range,
        metavar="A:B",
        help="frames A to B-1, counted from 0; 10: and :5 leave an end open",
    )
    group.add_argument("--crop", type=p.pixels, metavar="WxH", help="central, before the resize")
    group.add_argument(
        "--resize", type=p.pixels, metavar="WxH", help="scale to this size, after the crop"
    )
    group.add_argument("--video-size", type=p.pixels, metavar="WxH", help="of a raw .yuv")
    group.add_argument("--pix-fmt", metavar="F", help="of a raw .yuv (default yuv420p)")
    rated = "a raw .yuv or of images" if images_have_rate else "a raw .yuv"
    group.add_argument("--fps", type=p.frame_rate, metavar="R", help=f"of {rated} (default 25)")


def raw_format(arguments: argparse.Namespace) -> Any:
    """Return the format of raw `.yuv` files, or None where its size is not given.

    Raises:
        ValueError: something else of it is given.
    """
    if arguments.video_size is None:
        if arguments.pix_fmt is not None or arguments.fps is not None:
            raise ValueError("--pix-fmt and --fps go with --video-size, for a raw .yuv")
        return None
    return _raw_format(arguments)


def formats(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the format of a raw `.yuv`, or the rate of images, as `encode` takes them.

    Raises:
        ValueError: `--pix-fmt` without `--video-size`.
    """
    if arguments.video_size is not None:
        return {"raw": _raw_format(arguments)}
    if arguments.pix_fmt is not None:
        raise ValueError("--pix-fmt goes with --video-size, for a raw .yuv")
    return {"fps": arguments.fps}


def _raw_format(arguments: argparse.Namespace) -> Any:
    from fractions import Fraction

    from inrcodec.video import RawVideoFormat

    width, height = arguments.video_size
    return RawVideoFormat(
        width, height, arguments.pix_fmt or "yuv420p", arguments.fps or Fraction(25)
    )

"""`inrcodec compare REF A [B...]`: scores of videos or `.inr` files against a reference."""

from __future__ import annotations

import argparse
import json
from typing import Any

from inrcodec.cli import _evaluation as e
from inrcodec.cli import _parser as p

_METRICS = "psnr_rgb,psnr_yuv,ssim,ms_ssim,vmaf"


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "compare",
        help="score videos or .inr files against a reference",
        description="Score videos or .inr files against a reference, frame by frame: a table, and "
        "with --html a page with the frames side by side.",
    )
    parser.add_argument("reference", metavar="REF", help="a source as for encode, or an .inr file")
    parser.add_argument("videos", metavar="A", nargs="+", help="likewise, of as many frames")
    parser.set_defaults(run=run)
    parser.add_argument("--html", metavar="FILE", help="write a page with frames and curves")
    parser.add_argument("--json", action="store_true", help="print all scores as JSON")
    parser.add_argument("--metrics", type=e.names, default=e.names(_METRICS), metavar="A,B")
    p.add_device(parser)
    group = parser.add_argument_group("part of REF (and of others, where they do not match it)")
    e.add_source(group)


def run(arguments: argparse.Namespace) -> int:
    """Score, and print the table."""
    import tempfile
    from dataclasses import asdict
    from pathlib import Path

    from inrcodec.evaluation._extras import require_extra

    if arguments.html:
        require_extra("eval", "--html")
    from inrcodec.evaluation._compare import compare, table

    with tempfile.TemporaryDirectory(prefix="inrcodec-compare-") as folder:
        points = compare(
            arguments.reference,
            arguments.videos,
            Path(folder),
            frames=arguments.frames,
            resize=arguments.resize,
            crop=arguments.crop,
            raw=e.raw_format(arguments),
            metrics=arguments.metrics,
            device=arguments.device,
            snapshots=bool(arguments.html),
        )
        if arguments.html:
            _write_page(arguments, points, Path(folder))
    if arguments.json:
        names = ("codec", "bytes", "bpp", "metrics", "per_frame")
        print(json.dumps([{n: asdict(x)[n] for n in names} for x in points], indent=1))
    else:
        print(f"{points[0].label}\n\n{table(points)}")
    return 0


def _write_page(arguments: argparse.Namespace, points: Any, folder: Any) -> None:
    from pathlib import Path

    from inrcodec.evaluation.report import write_report

    title = f"{len(points)} video{'s' * (len(points) > 1)} against {points[0].clip}"
    write_report(points, Path(arguments.html), out=folder, anchor="", title=title)

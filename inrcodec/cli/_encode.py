"""`inrcodec encode SRC OUT.inr`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from inrcodec.cli import _encode_options as options
from inrcodec.cli import _parser as p


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "encode",
        help="fit a network to a video and write it as an .inr file",
        description="Fit a network to a video and write it as an .inr file.",
    )
    options.add_source_argument(parser)
    parser.add_argument("output", metavar="OUT.inr", help="the file to write")
    parser.set_defaults(run=run)

    rate = parser.add_argument_group("rate, one of (default: the preset's bpp)")
    rate = rate.add_mutually_exclusive_group()
    rate.add_argument(
        "--bpp", type=p.positive_float, metavar="X", help="bits per pixel, audio excluded"
    )
    rate.add_argument(
        "--size",
        type=p.byte_size,
        metavar="BYTES",
        help="of the file on disk, audio included: 20000, 500k, 1.5M",
    )
    rate.add_argument(
        "--psnr",
        type=p.positive_float,
        metavar="DB",
        help="the smallest file found that reaches it (up to 4 fits, each of which ends as "
        "soon as it is reached)",
    )
    options.add_options(parser, what="the whole encode")
    work = parser.add_argument_group("work")
    work.add_argument(
        "--workers",
        type=p.positive_int,
        default=1,
        metavar="N",
        help="segments fitted at once (default 1), each with its share of the cores, or with a GPU "
        "of its own; see --segment-frames",
    )
    work.add_argument(
        "--executor",
        default="local",
        metavar="E",
        help="local (default), or ray: on the cluster that the variable RAY_ADDRESS names",
    )


def run(arguments: argparse.Namespace) -> int:
    """Encode, and print the report."""
    started, told = time.perf_counter(), options.keywords(arguments)
    from inrcodec import encode

    report = encode(
        arguments.source,
        arguments.output,
        bpp=arguments.bpp,
        size_bytes=arguments.size,
        psnr=arguments.psnr,
        time_seconds=options.time_left(arguments.time, started),
        workers=arguments.workers,
        executor=arguments.executor,
        **told,
    )
    if arguments.json:
        json.dump(report.to_dict(), sys.stdout, indent=2)
        print()
    else:
        print(p.printable(report.summary()))
    return 0

"""`inrcodec ladder SRC OUT-%d.inr --sizes A,B,C`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from inrcodec.cli import _encode_options as options
from inrcodec.cli import _parser as p

Value = TypeVar("Value")


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "ladder",
        help="write a video as .inr files of several sizes, by one fit",
        description="Write a video as .inr files of several sizes, by one fit whose last part, at "
        "least a quarter unless --fit-set qat_fraction says otherwise, is done once for each. The "
        "network suits the middle of the sizes, from which none may be farther than a factor of "
        "1.75; those that are far from it are better made by encode.",
    )
    options.add_source_argument(parser)
    parser.add_argument(
        "output",
        metavar="OUT-%d.inr",
        help="the files to write; %%d stands for the bytes wished for",
    )
    parser.set_defaults(run=run)
    rate = parser.add_argument_group("rates, one of")
    rate = rate.add_mutually_exclusive_group(required=True)
    rate.add_argument(
        "--sizes",
        type=_list_of(p.byte_size),
        metavar="A,B",
        help="bytes of the files on disk, audio included: 60k,100k,170k",
    )
    rate.add_argument(
        "--bpps",
        type=_list_of(p.positive_float),
        metavar="A,B",
        help="bits per pixel, audio excluded: 0.02,0.05",
    )
    options.add_options(parser, what="all files together")


def run(arguments: argparse.Namespace) -> int:
    """Encode, and print the reports."""
    started, told = time.perf_counter(), options.keywords(arguments)
    from inrcodec import encode_ladder

    reports = encode_ladder(
        arguments.source,
        arguments.output,
        sizes_bytes=arguments.sizes,
        bpps=arguments.bpps,
        time_seconds=options.time_left(arguments.time, started),
        **told,
    )
    if arguments.json:
        json.dump([report.to_dict() for report in reports], sys.stdout, indent=2)
        print()
    else:
        print(p.printable("\n".join(report.summary() for report in reports)))
    return 0


def _list_of(kind: Callable[[str], Value]) -> Callable[[str], list[Value]]:
    def values(text: str) -> list[Value]:
        return [kind(part) for part in text.split(",")]

    return values

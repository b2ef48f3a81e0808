"""`inrcodec info IN.inr`: what the header says, and where every byte went."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from inrcodec.cli import _parser as p


def add_commands(commands: Any) -> None:
    """Add the command to the subparsers `commands`."""
    parser = commands.add_parser(
        "info",
        help="say what an .inr file holds and where its bytes went",
        description="Check an .inr file, say what it holds and where its bytes went.",
    )
    parser.add_argument("input", metavar="IN.inr")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the file's description."""
    from inrcodec._info import describe, render

    description = describe(arguments.input)
    if arguments.json:
        json.dump(description, sys.stdout, indent=2)
        print()
    else:
        print(p.printable(render(description)))
    return 0

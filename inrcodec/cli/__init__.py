"""The command line `inrcodec`: one module a command; what is heavy is imported when it runs.

Data and `--json` go to stdout, progress and errors to stderr. Exit status: 0 done, 1 failed, 2 a
wrong call, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence

from inrcodec._signals import terminate_as_interrupt
from inrcodec.cli import (
    _bench,
    _compare,
    _datasets,
    _decode,
    _encode,
    _eval,
    _info,
    _ladder,
    _play,
    _zoo,
)
from inrcodec.cli._parser import CommandParser, visible
from inrcodec.errors import InrcodecError, Interrupted, ModelSettingError, UnknownModelError

__all__ = ["main"]

_FAILED, _WRONG_CALL, _INTERRUPTED = 1, 2, 130
_MEMORY_HINTS = {"resize": "a smaller --resize", "size": "a smaller --size"}  # by the option


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (by default the process's) and return its exit status."""
    parser = _build_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as exc:
        return int(exc.code or 0)
    warnings.showwarning = _show_warning
    verbose = getattr(arguments, "verbose", False)
    if verbose:
        logging.basicConfig(format="inrcodec: %(message)s", level=logging.INFO)
    try:
        with terminate_as_interrupt():
            status: int = arguments.run(arguments)
        sys.stdout.flush()
    except (Interrupted, KeyboardInterrupt) as exc:
        return _fail(str(exc) or "interrupted", _INTERRUPTED)
    except (UnknownModelError, ModelSettingError) as exc:
        return _fail(str(exc), _WRONG_CALL)
    except BrokenPipeError:
        # Whoever read the output has left; Python would complain at exit without this.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (InrcodecError, OSError, MemoryError, RuntimeError) as exc:  # PyTorch's are the last
        if verbose:
            traceback.print_exc()
        return _fail(_message(exc, arguments), _FAILED)
    except ValueError as exc:
        if verbose:
            traceback.print_exc()
        return _fail(str(exc), _WRONG_CALL)
    return status


def _message(exc: Exception, arguments: argparse.Namespace) -> str:
    """Return what an error says, and what to do where inrcodec did not write it."""
    if isinstance(exc, (InrcodecError, OSError)):
        return str(exc)
    reason = (str(exc).splitlines() or [""])[0] or type(exc).__name__  # PyTorch's have many lines
    is_of_gpu = type(exc).__name__ == "OutOfMemoryError"  # PyTorch's, which is not imported here
    if is_of_gpu or isinstance(exc, MemoryError) or "allocate memory" in reason:
        hints = [hint for option, hint in _MEMORY_HINTS.items() if hasattr(arguments, option)]
        hints += ["--device cpu"] * (is_of_gpu and hasattr(arguments, "device"))
        return f"out of memory: {reason}" + (f" (try {' or '.join(hints)})" if hints else "")
    if getattr(arguments, "verbose", True):
        return reason
    return f"{reason} (-v shows where)"


def _fail(message: str, status: int) -> int:
    print(f"inrcodec: {visible(' '.join(message.split()))}", file=sys.stderr)
    return status


def _show_warning(message: Warning | str, *details: object, **more: object) -> None:
    """Print a warning as an error is printed: in one line, without the place in the code."""
    print(f"inrcodec: warning: {visible(' '.join(str(message).split()))}", file=sys.stderr)


def _build_parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="inrcodec",
        description="A video codec whose bitstream is a small neural network fitted to the video.",
        epilog="inrcodec COMMAND --help says more. A first try: inrcodec encode bunny bunny.inr "
        "--resize 640x360 --frames 0:32 --time 120s",
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    watching, measuring = (_encode, _ladder, _decode, _play, _info), (_eval, _compare, _bench)
    for module in (*watching, *measuring, _zoo, _datasets):
        module.add_commands(commands)
    return parser


def _version() -> str:
    from inrcodec import __version__

    return f"inrcodec {__version__}"

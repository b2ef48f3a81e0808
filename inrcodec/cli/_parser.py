"""What the commands share: a parser of one-line errors, and readers of sizes, times and ranges."""

from __future__ import annotations

import argparse
import re
import sys
from fractions import Fraction
from typing import NoReturn

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKmMgG]?)[bB]?")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|min|h|)")
_PIXELS = re.compile(r"(\d+)[xX](\d+)")
_RANGE = re.compile(r"(\d*):(\d*)")
_SIZE_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
_MAX_RATE_NUMERATOR, _MAX_RATE_DENOMINATOR = (1 << 31) - 1, 1 << 20  # of a frame rate
_TIME_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class CommandParser(argparse.ArgumentParser):
    """An argument parser that answers a wrong call in one line."""

    def __init__(self, **settings: object) -> None:
        settings.setdefault("allow_abbrev", False)
        super().__init__(**settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is, and exit with status 2."""
        print(f"{self.prog}: {message} ({self.prog} --help)", file=sys.stderr)
        sys.exit(2)


def byte_size(text: str) -> int:
    """Return bytes: `500k`, `1.5M`, `20000`.

    >>> byte_size("1.5M")
    1500000
    """
    match = _SIZE.fullmatch(text)
    if not match or (size := int(Fraction(match[1]) * _SIZE_UNITS[match[2].lower()])) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 20000, 500k or 1.5M")
    return size


def seconds(text: str) -> float:
    """Return seconds: `90s`, `10m`, `1.5h`, `45`.

    >>> seconds("10m")
    600.0
    """
    match = _TIME.fullmatch(text)
    if not match or (value := float(match[1]) * _TIME_UNITS[match[2]]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 1h")
    return value


def pixels(text: str) -> tuple[int, int]:
    """Return (width, height): `640x360`.

    >>> pixels("640x360")
    (640, 360)
    """
    match = _PIXELS.fullmatch(text)
    if not match or 0 in (width_height := (int(match[1]), int(match[2]))):
        raise argparse.ArgumentTypeError(f"{text!r} is no width and height such as 640x360")
    return width_height


def setting(text: str) -> tuple[str, object]:
    """Return name and value: an int, a float, a tuple of such numbers, or a str.

    >>> [setting(text) for text in ("seed=1", "learning_rate=2e-3", "strides=4,2,2", "loss=l1")]
    [('seed', 1), ('learning_rate', 0.002), ('strides', (4, 2, 2)), ('loss', 'l1')]
    >>> setting("strides=4,")
    ('strides', (4,))
    """
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is no setting such as learning_rate=2e-3")
    texts = value.split(",")
    if texts[1:] == [""]:  # a tuple of one
        del texts[1]
    parts = [_number_or_text(text) for text in texts]
    if "," not in value:
        return name, parts[0]
    return name, value if any(isinstance(part, str) for part in parts) else tuple(parts)


def _number_or_text(text: str) -> int | float | str:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def frame_range(text: str) -> tuple[int, int | None]:
    """Return the half-open range (start, stop): `0:32`, `10:`, `:5`.

    >>> frame_range("10:")
    (10, None)
    """
    match = _RANGE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of frames such as 0:32")
    start, stop = int(match[1] or 0), int(match[2]) if match[2] else None
    if stop is not None and stop <= start:
        raise argparse.ArgumentTypeError(f"{text!r} is empty: the end must be after the start")
    return start, stop


def positive_float(text: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def positive_int(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def frame_rate(text: str) -> Fraction:
    """Return frames per second: `25`, `29.97`, `30000/1001`; of many digits, the nearest fraction.

    >>> frame_rate("29.97002997")
    Fraction(30000, 1001)
    """
    try:
        rate = Fraction(text).limit_denominator(_MAX_RATE_DENOMINATOR)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate.numerator <= _MAX_RATE_NUMERATOR:
        raise argparse.ArgumentTypeError(f"{text!r} is no frame rate such as 25 or 30000/1001")
    return rate


def printable(text: str) -> str:
    """Replace what stdout's encoding does not have, and what would steer a terminal.

    Names of files may have such characters, and texts in hostile files.
    """
    encoding = sys.stdout.encoding or "utf-8"
    return visible(text).encode(encoding, "replace").decode(encoding)


def visible(text: str) -> str:
    """Replace characters that are not printed, but for ends of lines.

    >>> visible("aac\x1b[2J\nopus")
    'aac?[2J\nopus'
    """
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """Add `-q` and `-v`."""
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say what is decided on the way, and where in the code an error arose",
    )


def add_clip(parser: argparse._ActionsContainer, *, size: tuple[int, int], num_frames: int) -> None:
    """Add `--size` and `--frames` of a clip that need not be there, with their defaults."""
    width, height = size
    parser.add_argument(
        "--size", type=pixels, default=size, metavar="WxH", help=f"frame size ({width}x{height})"
    )
    parser.add_argument(
        "--frames",
        type=positive_int,
        default=num_frames,
        metavar="N",
        help=f"clip length ({num_frames})",
    )


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device", default="auto", metavar="D", help="auto (default), cpu, cuda or cuda:N"
    )

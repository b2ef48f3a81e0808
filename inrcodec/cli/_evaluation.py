"""What `eval` and `compare` share: lists of names."""

from __future__ import annotations

import argparse


def names(text: str) -> tuple[str, ...]:
    """Return names that commas separate, each once.

    >>> names("x264, x265,x264")
    ('x264', 'x265')
    """
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return found

"""Framing of an `.inr` file: signature, version, then sections by type, length and CRC-32.

In: sections' payloads. Out: bytes, and back, with one `BitstreamError` for every way in which the
frame of a section can be wrong. `docs/bitstream.md` is the specification.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from inrcodec.errors import BitstreamError

SIGNATURE = b"\x89INR\r\n\x1a\n"
VERSION = 4
PREAMBLE_BYTES = len(SIGNATURE) + 2

HEADER = b"HEAD"
INDEX = b"INDX"
SEGMENT = b"SEGM"
AUDIO = b"AUDI"

_FRAME = struct.Struct("<4sI")
_CRC = struct.Struct("<I")
FRAME_BYTES = _FRAME.size + _CRC.size


def preamble() -> bytes:
    """Return the first bytes of every file: signature and version."""
    return SIGNATURE + struct.pack("<H", VERSION)


def frame(kind: bytes, payload: bytes) -> bytes:
    """Return `payload` as a section: type, length, payload, CRC-32 of all three.

    >>> frame(b"INDX", b"").hex()
    '494e445800000000fbc46edb'
    """
    body = _FRAME.pack(kind, len(payload)) + payload
    return body + _CRC.pack(zlib.crc32(body))


def read_preamble(file: BinaryIO) -> int:
    """Check signature and version at the start of `file`; return the version.

    Raises:
        BitstreamError: not an `.inr` file, or of a version that this decoder does not know.
    """
    data = file.read(PREAMBLE_BYTES)
    if data[: len(SIGNATURE)] != SIGNATURE:
        raise BitstreamError(f"not an .inr file: starts with {data[:8]!r}, must be {SIGNATURE!r}")
    if len(data) < PREAMBLE_BYTES:
        raise BitstreamError(f"file ends after {len(data)} bytes, in its preamble")
    (version,) = struct.unpack_from("<H", data, len(SIGNATURE))
    if not 1 <= version <= VERSION:
        raise BitstreamError(f"format version is {version}, this decoder knows 1 to {VERSION}")
    return int(version)


def read_section(file: BinaryIO, kind: bytes, *, max_bytes: int) -> bytes:
    """Read the section of type `kind` that starts here and return its payload.

    Args:
        file: open for reading, at the start of the section.
        kind: the section's type, 4 bytes.
        max_bytes: the longest payload allowed, and so the most that is read and allocated.

    Raises:
        BitstreamError: another type, a length over `max_bytes`, a wrong CRC-32, or an early end.
    """
    name = kind.decode("ascii")
    head = file.read(_FRAME.size)
    if len(head) < _FRAME.size:
        raise BitstreamError(f"file ends where section {name} should begin")
    found, length = _FRAME.unpack(head)
    if found != kind:
        raise BitstreamError(f"found section {found!r} where {name} should begin")
    if length > max_bytes:
        raise BitstreamError(f"section {name} claims {length} bytes, must be <= {max_bytes}")
    payload, tail = file.read(length), file.read(_CRC.size)
    if len(payload) < length or len(tail) < _CRC.size:
        raise BitstreamError(f"section {name} claims {length} bytes, the file ends before them")
    (crc,) = _CRC.unpack(tail)
    if crc != zlib.crc32(payload, zlib.crc32(head)):
        raise BitstreamError(f"section {name} is damaged: its CRC-32 does not match")
    return payload


def is_inr_file(path: str | Path) -> bool:
    """Whether a regular file begins like an `.inr` file; False of what cannot be opened.

    Nothing is taken out of a pipe.
    """
    if not Path(path).is_file():
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False

"""Integers of variable length: LEB128, and zigzag for the signed ones of versions 1 to 3.

In: non-negative integers. Out: bytes, and back, signed ones too, through a bounds-checked reader.
"""

from __future__ import annotations

from inrcodec.entropy import from_zigzag
from inrcodec.errors import BitstreamError

_MAX_BYTES = 5


def uvarint(value: int) -> bytes:
    """Return `value` (0 to 2**32 - 1) in groups of 7 bits, least first, the high bit on all but
    the last.

    >>> uvarint(300).hex()
    'ac02'
    """
    if not 0 <= value < 1 << 32:
        raise ValueError(f"value is {value}, must be 0 to 2**32 - 1")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class ByteReader:
    """Reads integers and runs of bytes from `data`, never past its end."""

    def __init__(self, data: bytes, what: str) -> None:
        self.data = data
        self.what = what
        self.position = 0

    def take(self, num_bytes: int) -> bytes:
        """Return the next `num_bytes` bytes.

        Raises:
            BitstreamError: fewer are left.
        """
        left = len(self.data) - self.position
        if num_bytes > left:
            raise BitstreamError(f"{self.what} wants {num_bytes} more bytes and has {left}")
        self.position += num_bytes
        return self.data[self.position - num_bytes : self.position]

    def u8(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def uvarint(self) -> int:
        """Return the next non-negative integer.

        Raises:
            BitstreamError: it is over 2**32 - 1, or not in its shortest form.
        """
        value = 0
        for i in range(_MAX_BYTES):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if value >> 32 or (byte == 0 and i > 0):
                    break
                return value
        raise BitstreamError(f"{self.what} holds an integer out of form")

    def svarint(self) -> int:
        """Return the next signed integer."""
        return from_zigzag(self.uvarint())

    def end(self) -> None:
        """Check that nothing is left.

        Raises:
            BitstreamError: something is.
        """
        left = len(self.data) - self.position
        if left:
            raise BitstreamError(f"{self.what} has {left} bytes too many")

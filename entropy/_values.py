"""Values of side information: a few hundred small integers, each by the table of its field.

A value is its number of bits, coded by the field's table, then the bits under the highest one as
they are. All go into one rANS stream of a 32-bit state and 16-bit words, which plain Python codes
in a millisecond or two.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import accumulate

from inrcodec.entropy._mixture import TABLE_BITS, MixtureModel

MAX_VALUE_BITS = 16
"""Most bits that a value has."""

_LEAST_STATE = 1 << 16
_WORD_BITS = 16


class ValueWriter:
    """Collects values.

    >>> field = MixtureModel(8, 25, 255, center=3, lowest=0, highest=MAX_VALUE_BITS)
    >>> writer = ValueWriter()
    >>> for value in (5, 0, 1000):
    ...     writer.put(value, field)
    >>> writer.to_bytes().hex()
    'a46aa21000f4'
    """

    def __init__(self) -> None:
        self._intervals: list[tuple[int, int]] = []  # start and size, of 2**16

    def put(self, value: int, field: MixtureModel) -> None:
        """Add a value of 0 to 2**16 - 1, by the table of its field, of 0 to 16 bits.

        Raises:
            ValueError: it is out of its range.
        """
        if not 0 <= value < 1 << MAX_VALUE_BITS:
            raise ValueError(f"value is {value}, must be 0 to {(1 << MAX_VALUE_BITS) - 1}")
        num_bits = value.bit_length()
        starts = _starts(field)
        self._intervals.append((starts[num_bits], starts[num_bits + 1] - starts[num_bits]))
        if num_bits > 1:
            free = TABLE_BITS - (num_bits - 1)
            self._intervals.append(((value - (1 << (num_bits - 1))) << free, 1 << free))

    def put_signed(self, value: int, field: MixtureModel) -> None:
        """Add the zigzag code of a value: 0, -1, 1, -2, ... are 0, 1, 2, 3."""
        self.put(_zigzag(value), field)

    def to_bytes(self) -> bytes:
        """Return the code of all that was added."""
        state, words = _LEAST_STATE, []
        for start, size in reversed(self._intervals):
            if state >= size << _WORD_BITS:
                words.append(state & 0xFFFF)
                state >>= _WORD_BITS
            state = (state // size << TABLE_BITS) + state % size + start
        return struct.pack(f"<I{len(words)}H", state, *reversed(words))


class ValueReader:
    """Reads what a `ValueWriter` wrote, value by value.

    Raises:
        ValueError: the code is too short to be one.
    """

    def __init__(self, code: bytes) -> None:
        if len(code) < 4 or len(code) % 2:
            raise ValueError(f"values have {len(code)} bytes, must be an even number >= 4")
        self._state: int = struct.unpack_from("<I", code)[0]
        if self._state < _LEAST_STATE:
            raise ValueError(f"values begin with the state {self._state}, must be >= 2**16")
        self._words = list(struct.unpack(f"<{len(code) // 2 - 2}H", code[4:]))[::-1]

    def get(self, field: MixtureModel) -> int:
        """Return the next value, by the table of its field.

        Raises:
            ValueError: the code ends before.
        """
        at, starts = self._state & 0xFFFF, _starts(field)
        num_bits = max(bits for bits in range(MAX_VALUE_BITS + 1) if starts[bits] <= at)
        self._leave(starts[num_bits], starts[num_bits + 1] - starts[num_bits])
        if num_bits < 2:
            return num_bits
        free = TABLE_BITS - (num_bits - 1)
        rest = (self._state & 0xFFFF) >> free
        self._leave(rest << free, 1 << free)
        return (1 << (num_bits - 1)) + rest

    def get_signed(self, field: MixtureModel) -> int:
        """Return the next value, of which the zigzag code was written."""
        return from_zigzag(self.get(field))

    def end(self) -> None:
        """Check that all was read.

        Raises:
            ValueError: something is left, or the code is of other values.
        """
        if self._words or self._state != _LEAST_STATE:
            raise ValueError("values are not the code of what was read")

    def _leave(self, start: int, size: int) -> None:
        self._state = size * (self._state >> TABLE_BITS) + (self._state & 0xFFFF) - start
        if self._state < _LEAST_STATE:
            if not self._words:
                raise ValueError("values end too early")
            self._state = self._state << _WORD_BITS | self._words.pop()


def _zigzag(value: int) -> int:
    """Return the code of a signed value: of 0, -1, 1, -2, ... it is 0, 1, 2, 3."""
    return 2 * value if value >= 0 else -2 * value - 1


def from_zigzag(code: int) -> int:
    """Return the value that has this code."""
    return code // 2 if code % 2 == 0 else -(code + 1) // 2


@lru_cache(maxsize=64)
def _starts(field: MixtureModel) -> list[int]:
    """Return the cumulative frequencies of a field's numbers of bits."""
    if (field.lowest, field.highest) != (0, MAX_VALUE_BITS):
        raise ValueError(f"field has {field.lowest} to {field.highest} bits, must be 0 to 16")
    return [0, *accumulate(field.frequencies())]

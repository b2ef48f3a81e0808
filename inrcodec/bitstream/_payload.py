"""One rANS payload: how many states take turns in it, then the code itself.

In: symbols, each with the index of its table. Out: bytes, and a reader of them. One state is
decoded symbol by symbol, and takes the fewest bytes; many are decoded together, which long
payloads want (`inrcodec.entropy`).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy import (
    InterleavedReader,
    MixtureModel,
    RansReader,
    interleaved_compress,
    num_entries,
    rans_compress,
    table_sizes,
)

_MAX_SYMBOLS = 1 << 28
# A payload of b bytes may stand for so many symbols: no hostile file makes much out of little.
_FREE_SYMBOLS = 1 << 20
_SYMBOLS_PER_BYTE = 16
# One state's decoder walks through a table for each symbol: so many entries take a third of a
# second, and no symbol that takes a byte has more.
_FREE_ENTRIES, _ENTRIES_PER_BYTE = 1 << 30, 4096
# So many steps of all states take a quarter of a second.
_MAX_LOG_STATES, _MAX_LOG_STEPS = 15, 13
_MAX_MODELS = 64  # of a segment with interleaved states, whose tables take half a megabyte each
# From here on states are interleaved, with 2000 to 4000 symbols each: of three million symbols that
# is 0.08 s for 0.4 s, and 0.2 % more bytes (benchmarks/results/coder.json).
_MANY_SYMBOLS, _LOG_STEPS = 1 << 20, 12


class TooDenseError(ValueError):
    """More symbols, or wider tables, than so few bytes may stand for.

    Args:
        message: what is wrong.
        group: which of a segment's payloads it is.
    """

    def __init__(self, message: str, *, group: int) -> None:
        super().__init__(message)
        self.group = group


class SymbolReader(Protocol):
    """What reads a payload piece by piece."""

    def read(self, table_indexes: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Decode one symbol for each table index; ValueError where the payload ends before."""

    def end(self) -> None:
        """Check that all is read; ValueError where the payload is no code of it."""


def pack_payload(
    symbols: NDArray[np.int32],
    table_indexes: NDArray[np.integer[Any]],
    models: list[MixtureModel],
    *,
    group: int = 0,
) -> bytes:
    """Encode symbols, `(n,)`, each with the table of `models[table_index]`; of the payload `group`.

    Raises:
        TooDenseError: the symbols are too many for the bytes they take.
        ValueError: one is outside its table.
    """
    if symbols.size == 0:
        return b""
    if symbols.size > _MAX_SYMBOLS:
        raise ValueError(f"{symbols.size} symbols, a payload has {_MAX_SYMBOLS} at most")
    log_states = suitable_log_states(symbols.size, len(models))
    if log_states:
        code = interleaved_compress(symbols, table_indexes, models, num_states=1 << log_states)
    else:
        code = rans_compress(symbols, table_indexes, models)
    payload = bytes([log_states]) + code
    if symbols.size > _most_symbols(len(payload)):
        raise TooDenseError(
            f"{symbols.size} symbols in {len(payload)} bytes are too many", group=group
        )
    entries = 0 if log_states else num_entries(table_indexes, table_sizes(models))
    if entries > _most_entries(len(payload)):
        raise TooDenseError(
            f"the tables of {symbols.size} symbols in {len(payload)} bytes are too wide",
            group=group,
        )
    return payload


def suitable_log_states(num_symbols: int, num_models: int) -> int:
    """Return the binary logarithm of how many states are to take turns."""
    if num_symbols < _MANY_SYMBOLS or num_models > _MAX_MODELS:
        return 0
    return min(num_symbols.bit_length() - _LOG_STEPS, _MAX_LOG_STATES)


def open_payload(
    payload: bytes, models: list[MixtureModel], *, num_symbols: int, version: int
) -> SymbolReader:
    """Start to read what `pack_payload` wrote.

    Args:
        payload: as it is in the file.
        models: the segment's tables.
        num_symbols: that will be read, in all.
        version: of the file's format.

    Raises:
        ValueError: the payload is no code of so many symbols.
    """
    if num_symbols > min(_MAX_SYMBOLS, _most_symbols(len(payload))):
        raise ValueError(f"{num_symbols} symbols cannot come from {len(payload)} bytes")
    log_states, most_entries = 0, _most_entries(len(payload))
    if version > 2 and num_symbols and payload:
        log_states, payload = payload[0], payload[1:]
    may_be_one = version < 3 or num_symbols < _MANY_SYMBOLS or len(models) > _MAX_MODELS
    if log_states == 0 and may_be_one:
        return RansReader(payload, models, num_symbols=num_symbols, most_entries=most_entries)
    least = max(1, (num_symbols - 1).bit_length() - _MAX_LOG_STEPS)
    if not least <= log_states <= _MAX_LOG_STATES:
        raise ValueError(
            f"payload has 2**{log_states} states, must be {'1 or ' * may_be_one}"
            f"2**{least} to 2**{_MAX_LOG_STATES} for {num_symbols} symbols"
        )
    most = InterleavedReader.most_bytes(num_symbols, num_states=1 << log_states)
    if len(payload) > most:
        raise ValueError(f"payload has {len(payload)} bytes, must be up to {most}")
    if len(models) > _MAX_MODELS:
        raise ValueError(f"{len(models)} tables, must be up to {_MAX_MODELS} for so many states")
    return InterleavedReader(payload, models, num_states=1 << log_states)


def _most_symbols(payload_bytes: int) -> int:
    return _FREE_SYMBOLS + _SYMBOLS_PER_BYTE * payload_bytes


def _most_entries(payload_bytes: int) -> int:
    return _FREE_ENTRIES + _ENTRIES_PER_BYTE * payload_bytes

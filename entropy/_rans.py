"""CompressAI's rANS coder behind two functions that know nothing of where tables come from.

In: integer symbols, and for each the index of its frequency table. Out: bytes, and back. The
coder is a stack (last in, first out); CompressAI encodes from the last symbol to the first, so
that decoding runs forwards.

A payload is a whole number of 32-bit little-endian words: the final 64-bit state, then the words
in the order in which decoding consumes them (`docs/bitstream.md` gives the arithmetic).
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Sequence
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy._mixture import MixtureModel

_WORD_BYTES = 4
_STATE_BYTES = 8
_BLOCK = 1 << 18  # symbols that are Python's integers at a time


def rans_compress(
    symbols: NDArray[np.int32], table_indexes: NDArray[np.integer[Any]], models: list[MixtureModel]
) -> bytes:
    """Encode `symbols`, each with the table of `models[table_index]`.

    Args:
        symbols: `(n,)` integers, each within its model's `lowest` to `highest`.
        table_indexes: `(n,)` integers, positions in `models`.
        models: one or more probability models.

    Raises:
        ValueError: a symbol lies outside its model's alphabet.

    >>> model = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
    >>> rans_compress(np.array([0, 1, -2]), np.zeros(3, int), [model]).hex()
    '1878f5d639000000'
    """
    check_symbols(symbols, table_indexes, models)
    if symbols.size == 0:
        return b""
    return _encode(symbols, table_indexes, _Tables(models))


def rans_decompress(
    payload: bytes, table_indexes: NDArray[np.integer[Any]], models: list[MixtureModel]
) -> NDArray[np.int32]:
    """Decode one symbol for each of `table_indexes`: the inverse of `rans_compress`.

    Raises:
        ValueError: `payload` is not what `rans_compress` makes of any symbols.

    >>> model = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
    >>> rans_decompress(bytes.fromhex("1878f5d639000000"), np.zeros(3, int), [model]).tolist()
    [0, 1, -2]
    """
    reader = RansReader(payload, models, num_symbols=table_indexes.size)
    symbols = reader.read(table_indexes)
    reader.end()
    return symbols


def check_symbols(
    symbols: NDArray[np.int32],
    table_indexes: NDArray[np.integer[Any]],
    models: Sequence[MixtureModel],
) -> None:
    """Check that there is a table for each symbol, which has it.

    Raises:
        ValueError: not so.
    """
    if symbols.shape != table_indexes.shape or symbols.ndim != 1:
        raise ValueError(f"shapes are {symbols.shape} and {table_indexes.shape}, must be equal 1-D")
    lowest = np.array([m.lowest for m in models])[table_indexes]
    highest = np.array([m.highest for m in models])[table_indexes]
    outside = np.flatnonzero((symbols < lowest) | (symbols > highest))
    if outside.size:
        i = outside[0]
        raise ValueError(f"symbol {symbols[i]} at {i}, must be {lowest[i]} to {highest[i]}")


def table_sizes(models: Sequence[MixtureModel]) -> NDArray[np.int64]:
    """Return how many symbols each table admits."""
    return np.array([model.alphabet_size for model in models], np.int64)


def num_entries(table_indexes: NDArray[np.integer[Any]], sizes: NDArray[np.int64]) -> int:
    """Add up the `table_sizes` of `(n,)` symbols: how far a decoder may have to look."""
    return int(np.bincount(table_indexes, minlength=sizes.size) @ sizes)


class RansReader:
    """Decodes a payload piece by piece: tables may depend on the symbols read before.

    Args:
        payload: of `rans_compress`.
        models: one or more probability models.
        num_symbols: that will be read, in all.
        most_entries: that their tables may have together (`num_entries`), each of which takes time;
            None for as many as they have.

    Raises:
        ValueError: so many symbols have no payload of this length.

    >>> model = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
    >>> reader = RansReader(bytes.fromhex("1878f5d639000000"), [model], num_symbols=3)
    >>> reader.read(np.zeros(1, int)).tolist(), reader.read(np.zeros(2, int)).tolist()
    ([0], [1, -2])
    >>> reader.end()
    """

    def __init__(
        self,
        payload: bytes,
        models: list[MixtureModel],
        *,
        num_symbols: int,
        most_entries: int | None = None,
    ) -> None:
        self._payload, self._num_symbols = payload, num_symbols
        self._num_read, self._entries_left = 0, most_entries
        if num_symbols == 0:
            if payload:
                raise ValueError(f"payload has {len(payload)} bytes, must be empty for no symbols")
            return
        most = _STATE_BYTES + _WORD_BYTES * num_symbols
        if len(payload) % _WORD_BYTES or not _STATE_BYTES <= len(payload) <= most:
            raise ValueError(
                f"payload has {len(payload)} bytes, must be a multiple of {_WORD_BYTES} "
                f"from {_STATE_BYTES} to {most}"
            )
        # What was read, of which nothing takes memory before.
        self._symbols = np.empty(num_symbols, np.int16)
        self._indexes = np.empty(num_symbols, np.int32)
        self._tables = _Tables(models)
        self._table_sizes = table_sizes(models)
        self._decoder = _ans().RansDecoder()
        # The coder reads past a payload that is too short: no symbol takes more than one word, so
        # with this padding it cannot leave the buffer.
        self._decoder.set_stream(payload.ljust(most, b"\0"))

    def read(self, table_indexes: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Decode one symbol for each of `table_indexes`, `(n,)` positions in `models`.

        Raises:
            ValueError: symbols were announced to be fewer, or their tables to be smaller.
        """
        begin, end = self._num_read, self._num_read + table_indexes.size
        if end > self._num_symbols:
            raise ValueError(f"more than {self._num_symbols} symbols are read")
        if self._entries_left is not None and table_indexes.size:
            self._entries_left -= num_entries(table_indexes, self._table_sizes)
            if self._entries_left < 0:
                raise ValueError("tables are too wide for so many symbols in so few bytes")
        symbols = np.empty(table_indexes.size, np.int32)
        for start in range(0, symbols.size, _BLOCK):
            of = slice(start, start + _BLOCK)
            symbols[of] = self._decoder.decode_stream(*self._tables.of(table_indexes[of]))
        if symbols.size:
            self._symbols[begin:end], self._indexes[begin:end] = symbols, table_indexes
        self._num_read = end
        return symbols

    def end(self) -> None:
        """Check that the payload is the code of what was read.

        Any bytes decode to some symbols; only those that encode to the same bytes are right.

        Raises:
            ValueError: it is not, or fewer symbols were read than announced.
        """
        if self._num_read != self._num_symbols:
            raise ValueError(f"{self._num_read} of {self._num_symbols} symbols are read")
        if not self._num_symbols:
            return
        del self._decoder  # its memory is as much as encoding takes
        if _encode(self._symbols, self._indexes, self._tables) != self._payload:
            raise ValueError(
                f"payload is not the code of {self._num_symbols} symbols under these tables"
            )


class _Tables:
    """Tables as CompressAI wants them, number by number: in every call, only those that it needs.

    CompressAI takes the last symbol of a table for an escape; ours has the frequency 0 and is
    therefore never decoded.
    """

    def __init__(self, models: Sequence[MixtureModel]) -> None:
        self._models = models
        self._cdfs: dict[int, list[int]] = {}  # of the tables that were needed

    def of(
        self, indexes: NDArray[np.integer[Any]]
    ) -> tuple[list[int], list[list[int]], list[int], list[int]]:
        """Return the indexes among the tables that they need, and of those cumulative frequencies,
        their numbers, and lowest symbols.
        """
        present = np.bincount(indexes, minlength=len(self._models)) > 0
        tables = np.flatnonzero(present).tolist()
        cdfs = [self.cdf(table) for table in tables]
        offsets = [self._models[table].lowest for table in tables]
        return (np.cumsum(present) - 1)[indexes].tolist(), cdfs, list(map(len, cdfs)), offsets

    def cdf(self, table: int) -> list[int]:
        """Return the cumulative frequencies of a table, the escape's last."""
        if table not in self._cdfs:
            cdf = [0, *accumulate(self._models[table].frequencies())]
            self._cdfs[table] = [*cdf, cdf[-1]]
        return self._cdfs[table]

    def lowest(self, table: int) -> int:
        """Return the lowest symbol of a table."""
        return self._models[table].lowest


def _encode(
    symbols: NDArray[np.integer[Any]], indexes: NDArray[np.integer[Any]], tables: _Tables
) -> bytes:
    """Encode with CompressAI; very few symbols in Python.

    Its encoder's buffer has one word a symbol. One or two symbols can take three words, which it
    would write before the start of the buffer.
    """
    if len(symbols) > 2:
        encoder = _ans().BufferedRansEncoder()
        for start in range(0, len(symbols), _BLOCK):
            of = slice(start, start + _BLOCK)
            encoder.encode_with_indexes(symbols[of].tolist(), *tables.of(indexes[of]))
        payload: bytes = encoder.flush()
        return payload
    state, words = 1 << 31, b""
    for symbol, table in zip(symbols[::-1].tolist(), indexes[::-1].tolist(), strict=True):
        start, end = tables.cdf(table)[symbol - tables.lowest(table) :][:2]
        if state >= (end - start) << 47:
            words = struct.pack("<I", state & 0xFFFFFFFF) + words
            state >>= 32
        state = (state // (end - start) << 16) + state % (end - start) + start
    return struct.pack("<Q", state) + words


@lru_cache(maxsize=1)
def _ans() -> ModuleType:
    """CompressAI's compiled coder `compressai.ans`.

    Importing the package would import its whole zoo first (seconds, hundreds of megabytes, and
    torchvision); the coder is a self-contained extension module, so it is loaded by itself.
    """
    package = importlib.util.find_spec("compressai")
    if package is None or not package.submodule_search_locations:
        raise ImportError("inrcodec needs the package compressai: pip install compressai")
    folder = Path(package.submodule_search_locations[0])
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"ans{suffix}"
        if path.exists():
            spec = importlib.util.spec_from_file_location("compressai.ans", path)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    raise ImportError(f"compressai at {folder} has no compiled coder ans{EXTENSION_SUFFIXES[0]}")

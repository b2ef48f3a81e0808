"""rANS of interleaved states: a payload of many symbols, decoded by vector operations.

In and out as of `_rans.py`: symbols and table indexes, bytes. K states take turns, symbol i has
state i mod K; so K symbols are decoded by a dozen operations of NumPy on vectors, 30 to 60 ns
each where CompressAI's coder, through Python's lists, takes 150 (benchmarks/notes/coder.md).
Their words lie in one stream, in the order in which decoding consumes them (Giesen, "Interleaved
entropy coders", arXiv 1402.3392).

States have 40 bits and words 16. The final states, 5 bytes each, stand before the words; a state
takes about 4 bytes more than one state of all would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy._mixture import TABLE_BITS, MixtureModel
from inrcodec.entropy._rans import check_symbols

_LOWEST_STATE = 1 << 24
_WORD_BITS = 16
_WORD_BYTES, _STATE_BYTES = 2, 5
# A table's entry for each of 2**16 slots: frequency, position of the symbol, and how far the slot
# lies from the symbol's first one.
_FREQUENCY_SHIFT, _POSITION_SHIFT, _LOW_BITS = np.uint64(32), np.uint64(16), 0xFFFF
_TABLE_SHIFT = np.uint64(TABLE_BITS)
_BLOCK = 1 << 15  # symbols whose arrays stay in the cache


def interleaved_compress(
    symbols: NDArray[np.int32],
    table_indexes: NDArray[np.integer[Any]],
    models: Sequence[MixtureModel],
    *,
    num_states: int,
) -> bytes:
    """Encode `symbols`, each with the table of `models[table_index]`.

    Args:
        symbols: `(n,)` integers, each within its model's `lowest` to `highest`.
        table_indexes: `(n,)` integers, positions in `models`.
        models: one or more probability models.
        num_states: 1 or more; the more, the faster, and the longer the payload.

    Raises:
        ValueError: a symbol lies outside its model's alphabet.

    >>> model = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
    >>> interleaved_compress(np.array([0, 1, -2]), np.zeros(3, int), [model], num_states=2).hex()
    '217be21700febbd70400'
    """
    check_symbols(symbols, table_indexes, models)
    frequencies = [np.array(model.frequencies(), np.uint64) for model in models]
    starts = np.concatenate([np.cumsum(table) - table for table in frequencies])
    first = np.cumsum([0, *(model.alphabet_size for model in models)])[:-1]
    first -= np.array([model.lowest for model in models])
    entries = first[table_indexes] + symbols
    frequency, start = np.concatenate(frequencies)[entries], starts[entries]
    limit = frequency << (_LOWEST_STATE.bit_length() - 1 + _WORD_BITS - TABLE_BITS)
    states = np.full(num_states, _LOWEST_STATE, np.uint64)
    words = []
    for begin in range(0, symbols.size, num_states)[::-1]:
        of = slice(begin, begin + num_states)
        x = states[: min(num_states, symbols.size - begin)]
        full = np.flatnonzero(x >= limit[of])
        words.append(x[full].astype(np.uint16))
        x[full] >>= _WORD_BITS
        quotient, remainder = np.divmod(x, frequency[of])
        x[:] = (quotient << TABLE_BITS) + remainder + start[of]
    in_bytes = states.astype("<u8").view(np.uint8).reshape(-1, 8)
    stream = np.concatenate(words[::-1] or [np.zeros(0, np.uint16)])
    return in_bytes[:, :_STATE_BYTES].tobytes() + stream.astype("<u2").tobytes()


class InterleavedReader:
    """Decodes such a payload piece by piece: tables may depend on the symbols read before.

    Args:
        payload: of `interleaved_compress`.
        models: one or more probability models. Half a megabyte is filled for each that is used.
        num_states: as it was encoded with.

    Raises:
        ValueError: the payload has no so many states.

    >>> model = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
    >>> payload = bytes.fromhex("217be21700febbd70400")
    >>> reader = InterleavedReader(payload, [model], num_states=2)
    >>> reader.read(np.zeros(1, int)).tolist(), reader.read(np.zeros(2, int)).tolist()
    ([0], [1, -2])
    >>> reader.end()
    """

    @staticmethod
    def most_bytes(num_symbols: int, *, num_states: int) -> int:
        """Return how long a payload of so many symbols may be: each takes a word at most."""
        return _STATE_BYTES * num_states + _WORD_BYTES * num_symbols

    def __init__(self, payload: bytes, models: Sequence[MixtureModel], *, num_states: int) -> None:
        num_bytes = _STATE_BYTES * num_states
        if len(payload) < num_bytes or (len(payload) - num_bytes) % _WORD_BYTES:
            raise ValueError(
                f"payload has {len(payload)} bytes, must be {num_bytes} and a multiple of "
                f"{_WORD_BYTES} for {num_states} states"
            )
        states = np.zeros((num_states, 8), np.uint8)
        states[:, :_STATE_BYTES] = np.frombuffer(payload[:num_bytes], np.uint8).reshape(
            num_states, _STATE_BYTES
        )
        self._states = states.reshape(-1).view("<u8").astype(np.uint64)
        if (self._states < _LOWEST_STATE).any():
            raise ValueError(f"a state is {self._states.min()}, must be {_LOWEST_STATE} or more")
        self._words = np.frombuffer(payload, "<u2", offset=num_bytes)
        self._used = 0  # words
        self._next = 0  # state
        self._models = models
        self._lookup = np.zeros((len(models), 1 << TABLE_BITS), np.uint64)
        self._is_filled = np.zeros(len(models), np.bool_)
        self._lowest = np.array([model.lowest for model in models])
        self._scratch = np.empty(num_states, np.uint64)

    def read(self, table_indexes: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Decode one symbol for each of `table_indexes`, `(n,)` positions in `models`.

        Raises:
            ValueError: the payload ends before.
        """
        used = np.bincount(table_indexes, minlength=len(self._models)) > 0
        for table in np.flatnonzero(used & ~self._is_filled):
            self._lookup[table] = _entries(self._models[table])
        self._is_filled |= used
        symbols = np.empty(table_indexes.size, np.int32)
        for begin in range(0, symbols.size, _BLOCK):
            of = slice(begin, begin + _BLOCK)
            symbols[of] = self._read_block(table_indexes[of])
        return symbols

    def end(self) -> None:
        """Check that the payload is the code of what was read, and of nothing more.

        Decoding is one to one: where states and words end as encoding began, encoding what was
        read gives this payload.

        Raises:
            ValueError: it is not.
        """
        if self._used < self._words.size or (self._states != _LOWEST_STATE).any():
            raise ValueError("payload is not the code of these symbols under these tables")

    def _read_block(self, table_indexes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        first_entry = table_indexes.astype(np.uint64) << _TABLE_SHIFT
        entries = np.empty_like(first_entry)
        begin, num_states = 0, self._states.size
        while begin < entries.size:
            end = min(begin + num_states - self._next, entries.size)
            self._step(first_entry[begin:end], entries[begin:end])
            self._next = (self._next + end - begin) % num_states
            begin = end
        positions = ((entries >> _POSITION_SHIFT) & _LOW_BITS).view(np.int64)
        symbols: NDArray[np.int64] = self._lowest[table_indexes] + positions
        return symbols

    def _step(self, first_entry: NDArray[np.uint64], entries: NDArray[np.uint64]) -> None:
        """Decode one symbol from each of the next states, in place."""
        x = self._states[self._next : self._next + entries.size]
        scratch = self._scratch[: entries.size]
        np.bitwise_and(x, _LOW_BITS, out=scratch)
        scratch += first_entry
        self._lookup.take(scratch.view(np.int64), out=entries, mode="clip")
        x >>= TABLE_BITS
        np.right_shift(entries, _FREQUENCY_SHIFT, out=scratch)
        x *= scratch
        np.bitwise_and(entries, _LOW_BITS, out=scratch)
        x += scratch
        low = (x < _LOWEST_STATE).nonzero()[0]
        used = self._used + low.size
        if used > self._words.size:
            raise ValueError("payload is too short for these symbols under these tables")
        x[low] = (x[low] << _WORD_BITS) | self._words[self._used : used]
        self._used = used


def _entries(model: MixtureModel) -> NDArray[np.uint64]:
    """Return what a table says of each of its `2**TABLE_BITS` slots."""
    frequencies = np.array(model.frequencies(), np.uint64)
    positions = np.repeat(np.arange(frequencies.size), frequencies.astype(np.int64))
    starts = np.cumsum(frequencies) - frequencies
    slots = np.arange(positions.size, dtype=np.uint64)
    entries: NDArray[np.uint64] = frequencies[positions] << _FREQUENCY_SHIFT
    entries |= positions.astype(np.uint64) << _POSITION_SHIFT
    return entries | (slots - starts[positions])

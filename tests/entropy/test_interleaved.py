"""Interleaved states: what is written, byte for byte, what comes back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inrcodec.entropy import InterleavedReader, MixtureModel, interleaved_compress, rans_compress

PEAKED = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
SKEWED = MixtureModel(8, 16, 255, center=3, lowest=0, highest=6)
FLAT = MixtureModel(255, 255, 128, center=-2048, lowest=-2048, highest=2047)
MODELS = [PEAKED, SKEWED, FLAT]
FREQUENCIES = [model.frequencies() for model in MODELS]


def drawn(count: int, seed: int = 1) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Symbols, and their tables, which nothing orders."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, len(MODELS), count)
    symbols = [rng.integers(MODELS[t].lowest, MODELS[t].highest + 1) for t in tables]
    return np.array(symbols, np.int32), tables


def decompress(payload: bytes, tables: NDArray[np.int64], num_states: int) -> list[int]:
    reader = InterleavedReader(payload, MODELS, num_states=num_states)
    symbols = reader.read(tables)
    reader.end()
    assert symbols.dtype == np.int32
    return symbols.tolist()


def one_by_one(symbols: list[int], tables: list[int], num_states: int) -> bytes:
    """The same by the arithmetic of docs/bitstream.md, in Python's integers."""
    states, words = [1 << 24] * num_states, []
    for i in range(len(symbols))[::-1]:
        frequencies = FREQUENCIES[tables[i]]
        k = symbols[i] - MODELS[tables[i]].lowest
        x, frequency, start = states[i % num_states], frequencies[k], sum(frequencies[:k])
        if x >= frequency << 24:
            words.append((x & 0xFFFF).to_bytes(2, "little"))
            x >>= 16
        states[i % num_states] = (x // frequency << 16) + x % frequency + start
    return b"".join([*(x.to_bytes(5, "little") for x in states), *words[::-1]])


@pytest.mark.parametrize("num_states", [1, 2, 7, 64, 4096])
@pytest.mark.parametrize("count", [1, 2, 500])
def test_bytes_are_those_of_the_page(count: int, num_states: int) -> None:
    symbols, tables = drawn(count)
    payload = interleaved_compress(symbols, tables, MODELS, num_states=num_states)
    assert payload == one_by_one(symbols.tolist(), tables.tolist(), num_states)
    assert decompress(payload, tables, num_states) == symbols.tolist()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 80), st.lists(st.integers(0, 60), min_size=1, max_size=8), st.data())
def test_read_piece_by_piece(num_states: int, pieces: list[int], data: st.DataObject) -> None:
    symbols, tables = drawn(sum(pieces), seed=data.draw(st.integers(0, 9)))
    payload = interleaved_compress(symbols, tables, MODELS, num_states=num_states)
    reader = InterleavedReader(payload, MODELS, num_states=num_states)
    ends = np.cumsum(pieces)
    parts = [reader.read(piece) for piece in np.split(tables, ends[:-1])]
    reader.end()
    assert np.concatenate(parts).tolist() == symbols.tolist()


def test_a_state_costs_four_bytes() -> None:
    tables = np.zeros(40_000, np.int64)
    symbols = np.random.default_rng(3).choice(
        np.arange(-2, 3), tables.size, p=np.array(PEAKED.frequencies()) / 65536
    )
    one = len(rans_compress(symbols, tables, [PEAKED]))
    for num_states in (16, 256):
        many = len(interleaved_compress(symbols, tables, [PEAKED], num_states=num_states))
        assert 3.5 < (many - one + 4) / num_states < 4.5


def test_symbol_outside_its_table() -> None:
    with pytest.raises(ValueError, match="symbol 3 at 1, must be -2 to 2"):
        interleaved_compress(np.array([0, 3]), np.zeros(2, int), [PEAKED], num_states=2)


def test_what_is_no_code_is_refused() -> None:
    symbols, tables = drawn(300)
    payload = interleaved_compress(symbols, tables, MODELS, num_states=8)
    with pytest.raises(ValueError, match="39 bytes, must be 40 and a multiple of 2 for 8 states"):
        InterleavedReader(payload[:39], MODELS, num_states=8)
    with pytest.raises(ValueError, match="and a multiple of 2"):
        InterleavedReader(payload + b"\0", MODELS, num_states=8)
    with pytest.raises(ValueError, match="a state is 0, must be 16777216 or more"):
        InterleavedReader(b"\0" * 5 + payload[5:], MODELS, num_states=8)
    for damaged in (payload[:-2], payload[:40], payload + b"\0\0"):
        with pytest.raises(ValueError, match=r"too short for these|not the code of these"):
            decompress(damaged, tables, 8)
    with pytest.raises(ValueError, match="not the code of these symbols"):
        decompress(payload, tables[:-1], 8)


@pytest.mark.parametrize("seed", range(5))
def test_every_flip_is_noticed_or_decodes_to_a_code(seed: int) -> None:
    """Decoding is one to one: whatever passes `end` is encoded to the same bytes again."""
    symbols, tables = drawn(60, seed)
    payload = interleaved_compress(symbols, tables, MODELS, num_states=4)
    rng = np.random.default_rng(seed)
    noticed = 0
    for at in range(len(payload)):
        damaged = bytearray(payload)
        damaged[at] ^= 1 << int(rng.integers(8))
        try:
            found = decompress(bytes(damaged), tables, 4)
        except ValueError:
            noticed += 1
            continue
        again = interleaved_compress(np.array(found, np.int32), tables, MODELS, num_states=4)
        assert again == bytes(damaged)
    assert noticed > 0.7 * len(payload)  # a flip in the slot of a flat table is another symbol

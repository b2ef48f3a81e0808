"""The coder: what it writes, byte for byte, and what it refuses to read."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.entropy import MixtureModel, rans_compress, rans_decompress

PEAKED = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
BINARY = MixtureModel(0, 0, 0, center=0, lowest=0, highest=1)
FLAT = MixtureModel(255, 255, 128, center=-2048, lowest=-2048, highest=2047)
SKEWED = MixtureModel(8, 16, 255, center=3, lowest=0, highest=6)

# Compiled code that writes where it must not would take pytest with it: a process of its own.
FEW_SYMBOLS = """
import numpy as np
from inrcodec.entropy import MixtureModel, rans_compress, rans_decompress

for numbers in ((16, 40, 128, 0, -2, 2), (0, 0, 0, 0, 0, 1), (255, 255, 128, -2048, -2048, 2047)):
    model = MixtureModel(*numbers)
    for first in (model.lowest, model.center, model.highest):
        for second in (None, model.lowest, model.highest):
            symbols = np.array([first] if second is None else [first, second], np.int32)
            tables = np.zeros(symbols.size, np.int32)
            for _ in range(50):
                payload = rans_compress(symbols, tables, [model])
                assert rans_decompress(payload, tables, [model]).tolist() == symbols.tolist()
            print(payload.hex())
"""


def compress(symbols: list[int], model: MixtureModel) -> bytes:
    return rans_compress(np.array(symbols, np.int32), np.zeros(len(symbols), np.int32), [model])


def decompress(payload: bytes, num_symbols: int, model: MixtureModel) -> list[int]:
    return rans_decompress(payload, np.zeros(num_symbols, np.int32), [model]).tolist()


@st.composite
def models(draw: st.DrawFn) -> MixtureModel:
    lowest = draw(st.integers(-2048, 2047))
    highest = draw(st.integers(lowest + 1, min(lowest + 4095, 2048)))
    codes = st.integers(0, 255)
    return MixtureModel(
        draw(codes),
        draw(codes),
        draw(codes),
        center=draw(st.integers(lowest, highest)),
        lowest=lowest,
        highest=highest,
    )


@st.composite
def coded(draw: st.DrawFn) -> tuple[list[MixtureModel], list[int], list[int]]:
    chosen = draw(st.lists(models(), min_size=1, max_size=3))
    tables = draw(st.lists(st.integers(0, len(chosen) - 1), min_size=3, max_size=60))
    symbols = [draw(st.integers(chosen[t].lowest, chosen[t].highest)) for t in tables]
    return chosen, tables, symbols


def test_no_symbols_are_no_bytes() -> None:
    assert compress([], PEAKED) == b""
    assert decompress(b"", 0, PEAKED) == []


def test_one_and_two_symbols() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_SYMBOLS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    payloads = done.stdout.split()
    assert len(payloads) == 27
    # One symbol -2 of the first table: x = (2**31 // 11226 << 16) + 2**31 % 11226 + 0.
    assert (
        payloads[0] == (((1 << 31) // 11226 << 16) + (1 << 31) % 11226).to_bytes(8, "little").hex()
    )


@pytest.mark.parametrize(
    ("symbols", "model", "golden"),
    [
        ([0, 1, -2], PEAKED, "1878f5d639000000"),
        ([2] * 20, PEAKED, "86d89a0a53c103000aed75fb"),
        ([-2048, 2047, 0, -1, 1], FLAT, "99013860e9fe1300b8866d08"),
        ([0] * 1000, BINARY, "bad4f78100000000"),
        ([1, 1, 0], BINARY, "ffff008000000000ffff0080"),
    ],
    ids=["few", "all equal", "extremes", "nearly free", "dearest"],
)
def test_golden_bytes(symbols: list[int], model: MixtureModel, golden: str) -> None:
    assert compress(symbols, model).hex() == golden
    assert decompress(bytes.fromhex(golden), len(symbols), model) == symbols


def test_golden_bytes_of_two_tables() -> None:
    symbols, tables = np.array([0, 6, -2, 0, 1, 3]), np.array([0, 1, 0, 1, 0, 1])
    payload = rans_compress(symbols, tables, [PEAKED, SKEWED])
    assert payload.hex() == "b39bb2ce677d0500"
    assert rans_decompress(payload, tables, [PEAKED, SKEWED]).tolist() == symbols.tolist()


@settings(deadline=None, max_examples=100)
@given(coded())
def test_round_trip(case: tuple[list[MixtureModel], list[int], list[int]]) -> None:
    chosen, tables, symbols = case
    indexes = np.array(tables, np.int32)
    payload = rans_compress(np.array(symbols, np.int32), indexes, chosen)
    decoded = rans_decompress(payload, indexes, chosen)
    assert decoded.dtype == np.int32
    assert decoded.tolist() == symbols


def test_symbols_that_are_coded_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = np.array([0, 1, -2, 2, 5, 6, 0, 0, 1, 3, -1], np.int32)
    tables = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0])
    whole = rans_compress(symbols, tables, [PEAKED, SKEWED])
    monkeypatch.setattr("inrcodec.entropy._rans._BLOCK", 4)
    assert rans_compress(symbols, tables, [PEAKED, SKEWED]) == whole
    assert rans_decompress(whole, tables, [PEAKED, SKEWED]).tolist() == symbols.tolist()


@settings(deadline=None, max_examples=60)
@given(coded())
def test_size_is_the_information(case: tuple[list[MixtureModel], list[int], list[int]]) -> None:
    chosen, tables, symbols = case
    payload = rans_compress(np.array(symbols, np.int32), np.array(tables, np.int32), chosen)
    bits = sum(
        16 - np.log2(chosen[t].frequencies()[s - chosen[t].lowest])
        for t, s in zip(tables, symbols, strict=True)
    )
    # The state starts with 31 bits and is written in 64.
    assert bits - 1 <= 8 * len(payload) <= bits + 64


@pytest.mark.parametrize("outside", [-3, 3])
def test_symbol_outside_its_table(outside: int) -> None:
    with pytest.raises(ValueError, match=f"symbol {outside} at 1, must be -2 to 2"):
        compress([0, outside, 0], PEAKED)


@pytest.mark.parametrize(("num_symbols", "num_tables", "ndim"), [(3, 4, 1), (4, 3, 1), (4, 4, 2)])
def test_shapes_that_differ(num_symbols: int, num_tables: int, ndim: int) -> None:
    symbols, tables = np.zeros(num_symbols, np.int32), np.zeros(num_tables, np.int32)
    if ndim == 2:
        symbols, tables = symbols.reshape(2, -1), tables.reshape(2, -1)
    with pytest.raises(ValueError, match="must be equal 1-D"):
        rans_compress(symbols, tables, [PEAKED])


PAYLOAD = compress([2, 0, -1, 1, 0, 0, -2, 2, 1, 0] * 12, PEAKED)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        PAYLOAD[:4],
        PAYLOAD[:-1],
        PAYLOAD[:-4],
        PAYLOAD + b"\0",
        PAYLOAD + b"\0\0\0\0",
        PAYLOAD + b"\0" * 4 * 120,
        PAYLOAD[:8] + b"\0\0\0\0" + PAYLOAD[8:],
    ],
    ids=["empty", "one word", "odd", "short", "odd longer", "long", "too long", "word inside"],
)
def test_payload_of_a_wrong_length(payload: bytes) -> None:
    with pytest.raises(ValueError, match="payload"):
        decompress(payload, 120, PEAKED)


def test_payload_for_no_symbols() -> None:
    with pytest.raises(ValueError, match="must be empty for no symbols"):
        decompress(PAYLOAD, 0, PEAKED)


@pytest.mark.parametrize("num_symbols", [119, 121])
def test_payload_of_another_number_of_symbols(num_symbols: int) -> None:
    with pytest.raises(ValueError, match=f"not the code of {num_symbols} symbols"):
        decompress(PAYLOAD, num_symbols, PEAKED)


def test_a_flipped_bit_never_goes_unnoticed() -> None:
    for bit in range(8 * len(PAYLOAD)):
        flipped = bytearray(PAYLOAD)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="not the code of"):
            decompress(bytes(flipped), 120, PEAKED)


def test_a_state_beyond_63_bits() -> None:
    # One more step of the coder without the renormalisation that it calls for: the words decode
    # to good symbols and to the right last state, and still are not the code of the symbols.
    frequency, start = PEAKED.frequencies()[2], sum(PEAKED.frequencies()[:2])
    rng = np.random.default_rng(0)
    for _ in range(2000):
        symbols = rng.integers(-2, 3, rng.integers(3, 60)).tolist()
        payload = compress(symbols, PEAKED)
        inner = int.from_bytes(payload[:8], "little")
        if frequency << 47 <= inner < frequency << 48:
            break
    outer = (inner // frequency << 16) + inner % frequency + start
    assert 1 << 63 <= outer < 1 << 64
    with pytest.raises(ValueError, match=f"not the code of {len(symbols) + 1} symbols"):
        decompress(outer.to_bytes(8, "little") + payload[8:], len(symbols) + 1, PEAKED)

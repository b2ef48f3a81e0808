"""Payloads: how many states are chosen, what comes back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from inrcodec.bitstream import VERSION, TooDenseError, _payload
from inrcodec.bitstream._payload import open_payload, pack_payload, suitable_log_states
from inrcodec.entropy import MixtureModel, RansReader, rans_compress

MODEL = MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2)
SYMBOLS = np.random.default_rng(2).integers(-2, 3, 5000).astype(np.int32)
TABLES = np.zeros(SYMBOLS.size, np.int64)


def read(
    payload: bytes,
    *,
    num_symbols: int = SYMBOLS.size,
    num_models: int = 1,
    version: int = VERSION,
) -> list[int]:
    models = [MODEL] * num_models
    reader = open_payload(payload, models, num_symbols=num_symbols, version=version)
    symbols = reader.read(np.zeros(num_symbols, np.int64))
    reader.end()
    return symbols.tolist()


@pytest.mark.parametrize(
    ("num_symbols", "num_models", "log_states"),
    [
        (1, 1, 0),
        ((1 << 20) - 1, 1, 0),
        (1 << 20, 64, 9),
        (1 << 20, 65, 0),
        (3_000_000, 10, 10),
        (1 << 28, 1, 15),
    ],
)
def test_how_many_states(num_symbols: int, num_models: int, log_states: int) -> None:
    assert suitable_log_states(num_symbols, num_models) == log_states
    assert num_symbols <= 1 << (log_states + 13) or not log_states


@pytest.mark.parametrize("log_states", [0, 1, 6, 15])
def test_round_trip(log_states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_payload, "suitable_log_states", lambda *_: log_states)
    payload = pack_payload(SYMBOLS, TABLES, [MODEL])
    assert payload[0] == log_states
    assert read(payload) == SYMBOLS.tolist()


def test_many_symbols_have_many_states() -> None:
    rng = np.random.default_rng(4)
    symbols = rng.integers(-2, 3, 1 << 20).astype(np.int32)
    payload = pack_payload(symbols, np.zeros(symbols.size, np.int64), [MODEL])
    assert payload[0] == 9
    assert read(payload, num_symbols=symbols.size) == symbols.tolist()


def test_no_symbols_are_no_bytes() -> None:
    assert pack_payload(SYMBOLS[:0], TABLES[:0], [MODEL]) == b""
    assert read(b"", num_symbols=0) == []
    for payload in (b"\0", b"\1", b"\0" * 9):
        with pytest.raises(ValueError, match="must be empty for no symbols"):
            read(payload, num_symbols=0)


def test_older_versions_have_one_state() -> None:
    code = rans_compress(SYMBOLS, TABLES, [MODEL])
    assert pack_payload(SYMBOLS, TABLES, [MODEL]) == b"\0" + code
    for version in (1, 2):
        assert isinstance(
            open_payload(code, [MODEL], num_symbols=5000, version=version), RansReader
        )
        assert read(code, version=version) == SYMBOLS.tolist()


@pytest.mark.parametrize(
    ("payload", "num_symbols", "num_models", "words"),
    [
        (b"", 3, 1, "payload has 0 bytes"),
        (b"\0", 3, 1, "payload has 0 bytes"),
        (b"\x10" + b"\1" * 99, 3, 1, r"2\*\*16 states, must be 1 or 2\*\*1 to 2\*\*15 for 3 sy"),
        (b"\xff", 3, 1, r"2\*\*255 states"),
        (b"\2" + b"\1" * 20, 1 << 15, 1, "payload is too short for these symbols"),
        (b"\2" + b"\1" * 20, (1 << 15) + 1, 1, r"2\*\*2 states, must be 1 or 2\*\*3 to"),
        (b"\2" + b"\1" * 19, 100, 1, "20 and a multiple of 2 for 4 states"),
        (b"\2" + b"\1" * 20, 100, 65, "65 tables, must be up to 64 for so many states"),
        (b"\1" + b"\1" * 18, 3, 1, "payload has 18 bytes, must be up to 16"),
        (b"\0" * 9, 1 << 20, 64, r"2\*\*0 states, must be 2\*\*7 to 2\*\*15 for 1048576 symbols"),
        (b"\0" * 9, 1 << 20, 65, "payload is not the code of 1048576 symbols"),
        (b"\0" * 9, (1 << 20) - 1, 64, "payload is not the code of 1048575 symbols"),
        (b"\0" * 9, (1 << 20) + 16 * 9 + 1, 1, "symbols cannot come from 9 bytes"),
    ],
)
def test_refusal(payload: bytes, num_symbols: int, num_models: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(payload, num_symbols=num_symbols, num_models=num_models)


def test_tables_are_no_wider_than_a_decoder_walks_through_at_once() -> None:
    wide = MixtureModel(0, 0, 0, center=2047, lowest=-2048, highest=2047)
    symbols = np.full(3 << 17, 2047, np.int32)  # of a few kilobytes, and 1.5 * 2**30 entries
    tables = np.zeros(symbols.size, np.int64)
    with pytest.raises(TooDenseError, match=r"tables of 393216 symbols in .* are too wide"):
        pack_payload(symbols, tables, [wide])
    payload = b"\0" + rans_compress(symbols, tables, [wide])
    for version, coded in ((VERSION, payload), (2, payload[1:])):
        reader = open_payload(coded, [wide], num_symbols=symbols.size, version=version)
        half = symbols.size // 2
        assert (reader.read(tables[:half]) == 2047).all()
        with pytest.raises(ValueError, match="tables are too wide for so many symbols"):
            reader.read(tables[half:])


def test_symbols_that_take_bytes_may_have_the_widest_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_payload, "_FREE_ENTRIES", 0)
    flat = MixtureModel(255, 255, 128, center=0, lowest=-2048, highest=2047)
    symbols = np.random.default_rng(5).integers(-2048, 2048, 5000).astype(np.int32)
    payload = pack_payload(symbols, TABLES, [flat])
    reader = open_payload(payload, [flat], num_symbols=symbols.size, version=VERSION)
    assert reader.read(TABLES).tolist() == symbols.tolist()
    reader.end()

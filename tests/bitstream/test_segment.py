"""Segments: what comes back, and one refusal for every rule."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.bitstream import pack_segment, segment_sizes, unpack_segment
from inrcodec.bitstream._segment import pack_in_context, pack_plain
from inrcodec.entropy import MixtureModel, _mixture, rans_compress
from inrcodec.errors import BitstreamError
from inrcodec.quantization import QuantizedTensors

SIZES, GROUPS = [5, 3, 4], [2, 1]
TABLE = bytes([16, 40, 128]) + b"\x00\x02\x02"  # -2 to 2 about 0
OTHER = bytes([8, 16, 255]) + b"\x06\x03\x03"  # 0 to 6 about 3
MODELS = [MixtureModel(16, 40, 128, 0, -2, 2), MixtureModel(8, 16, 255, 3, 0, 6)]
ONE_STATE = b"\0"
FIRST = rans_compress(np.array([0, 1, -1, 0, 2, 3, 3, 6]), np.repeat([0, 1], [5, 3]), MODELS)
FIRST = ONE_STATE + FIRST
SECOND = ONE_STATE + rans_compress(np.array([0, 0, -2, 1]), np.zeros(4, int), MODELS)


def segment(**changes: bytes) -> bytes:
    """A hand-made segment of version 3, of two tables and three tensors, some of its parts changed.

    What is not side information is the same in version 4 (test_side.py).
    """
    parts = {
        "step": struct.pack("<f", 0.5),
        "num_tables": b"\x02",
        "tables": TABLE + OTHER,
        "use": b"\x80\x00\x78\x02\x88\x00",
        "lengths": bytes([len(FIRST), len(SECOND)]),
        "payloads": FIRST + SECOND,
        "rest": b"",
    }
    assert set(changes) <= set(parts)
    return b"".join({**parts, **changes}.values())


def read(data: bytes) -> QuantizedTensors:
    return unpack_segment(data, SIZES, GROUPS, version=3)


def test_a_segment_made_by_hand() -> None:
    quantized = read(segment())
    assert quantized.global_step == 0.5
    assert quantized.step_codes == [0, -8, 8]
    symbols = [[0, 1, -1, 0, 2], [3, 3, 6], [0, 0, -2, 1]]
    assert [s.tolist() for s in quantized.symbols] == symbols
    steps = (0.5, 0.25, 1.0)
    weights = [[s * step for s in part] for part, step in zip(symbols, steps, strict=True)]
    assert [w.tolist() for w in quantized.weights()] == weights


@st.composite
def quantized_tensors(draw: st.DrawFn) -> tuple[QuantizedTensors, list[int]]:
    sizes = draw(st.lists(st.integers(3, 40), min_size=1, max_size=6))
    cut = draw(st.integers(1, len(sizes)))
    groups = [cut, len(sizes) - cut] if cut < len(sizes) else [cut]
    tensors = []
    for size in sizes:
        most = draw(st.sampled_from((0, 1, 30, 2047)))
        values = st.lists(st.integers(-most, most), min_size=size, max_size=size)
        tensors.append(np.array(draw(values), np.int32))
    codes = [draw(st.integers(-128, 127)) for _ in sizes]
    step = draw(st.floats(2.0**-60, 2.0**60, width=32))
    return QuantizedTensors(step, codes, tensors), groups


@settings(deadline=None, max_examples=60)
@given(quantized_tensors())
def test_round_trip(case: tuple[QuantizedTensors, list[int]]) -> None:
    quantized, groups = case
    sizes = [s.size for s in quantized.symbols]
    decoded = unpack_segment(pack_segment(quantized, groups), sizes, groups)
    assert decoded.global_step == quantized.global_step
    assert decoded.step_codes == quantized.step_codes
    assert [s.tolist() for s in decoded.symbols] == [s.tolist() for s in quantized.symbols]
    assert all(np.isfinite(w).all() for w in decoded.weights())


def test_tensors_alike_share_a_table() -> None:
    rng = np.random.default_rng(0)
    tensors = [np.rint(rng.laplace(0, 3, 500)).astype(np.int32) for _ in range(8)]
    tensors += [np.rint(rng.laplace(0, 300, 500)).clip(-2047, 2047).astype(np.int32)]
    data = pack_segment(QuantizedTensors(1.0, [0] * 9, tensors), [9])
    assert data[4] == 2  # tables
    assert len(data) < segment_sizes(data, [500] * 9, [9]).entropy_bits / 8 * 1.05 + 100


def _slow_embeddings() -> QuantizedTensors:
    """Weights, and one channel of 10 frames of 12 values that hardly change."""
    rng = np.random.default_rng(0)
    weights = np.rint(rng.laplace(0, 3, 400)).astype(np.int32)
    first = rng.integers(-900, 900, 12)
    frames = (first + np.cumsum(rng.integers(-1, 2, (10, 12)), axis=0)).astype(np.int32)
    return QuantizedTensors(1.0, [0, 0], [weights, frames.ravel()])


def test_embeddings_that_hardly_change_are_coded_as_differences() -> None:
    quantized = _slow_embeddings()
    data = pack_plain(quantized, [1, 1], (10, 3, 4))
    decoded = unpack_segment(data, [400, 120], [1, 1], grid=(10, 3, 4))
    assert [s.tolist() for s in decoded.symbols] == [s.tolist() for s in quantized.symbols]
    plain = pack_segment(quantized, [1, 1])
    assert len(data) < len(plain) - 40
    with pytest.raises(BitstreamError, match="differences in time of a tensor that has none"):
        unpack_segment(data, [400, 120], [1, 1])


def test_embeddings_that_jump_are_coded_as_they_are() -> None:
    rng = np.random.default_rng(0)
    weights, jumping = rng.integers(-3, 4, 400), rng.choice([-2000, 2000], 120)
    symbols = [weights.astype(np.int32), jumping.astype(np.int32)]
    quantized = QuantizedTensors(1.0, [0, 0], symbols)
    data = pack_plain(quantized, [1, 1], (10, 3, 4))
    assert data == pack_segment(quantized, [1, 1])


def _pan(num_frames: int = 40) -> QuantizedTensors:
    """Weights, and two channels of 7 x 9 cells: some columns change a lot, all do now and then."""
    rng = np.random.default_rng(0)
    weights = np.rint(rng.laplace(0, 3, 400)).astype(np.int32)
    spread = np.exp(np.linspace(-3, 3, 9))
    often = np.where(rng.random((num_frames, 1, 1)) < 0.3, 4.0, 0.5)
    changes = rng.laplace(0, 1, (2, num_frames, 7, 9)) * spread * often
    cubes = np.rint(np.cumsum(changes, axis=1)).clip(-2047, 2047).astype(np.int32)
    return QuantizedTensors(1.0, [0, 0, 0], [weights, *(cube.ravel() for cube in cubes)])


def test_context_takes_fewer_bytes_where_cells_differ() -> None:
    quantized, grid = _pan(), (40, 7, 9)
    sizes = [s.size for s in quantized.symbols]
    data = pack_segment(quantized, [1, 2], grid=grid)
    assert data == pack_in_context(quantized, [1, 2], grid)
    decoded = unpack_segment(data, sizes, [1, 2], grid=grid)
    assert [s.tolist() for s in decoded.symbols] == [s.tolist() for s in quantized.symbols]
    assert len(data) < 0.88 * len(pack_plain(quantized, [1, 2], grid))
    found = segment_sizes(data, sizes, [1, 2], grid=grid)
    assert found.side_bytes + sum(found.payload_bytes) == len(data)
    # Payloads hold the tensors' symbols, the 40 gains and two words of rANS each.
    rest = 8 * sum(found.payload_bytes) - sum(found.tensor_bits)
    assert 0 < rest < 40 * 8 + 2 * 64
    assert found.entropy_bits < 8 * sum(found.payload_bytes)


def test_few_embeddings_are_coded_without_context_where_that_is_shorter() -> None:
    quantized, grid = _pan(num_frames=1), (1, 7, 9)
    data = pack_segment(quantized, [1, 2], grid=grid)
    in_context = pack_in_context(quantized, [1, 2], grid)
    assert in_context is not None
    assert data == pack_plain(quantized, [1, 2], grid)
    assert len(data) < len(in_context)


def test_no_context_for_more_frames_than_the_format_admits() -> None:
    quantized = QuantizedTensors(
        1.0, [0, 0], [np.arange(-9, 10, dtype=np.int32), np.ones(4097, np.int32)]
    )
    assert pack_in_context(quantized, [1, 1], (4097, 1, 1)) is None
    data = pack_segment(quantized, [1, 1], grid=(4097, 1, 1))
    decoded = unpack_segment(data, [19, 4097], [1, 1], grid=(4097, 1, 1))
    assert decoded.symbols[1].tolist() == [1] * 4097


def test_version_1_has_no_context() -> None:
    data = pack_in_context(_pan(), [1, 2], (40, 7, 9))
    assert data is not None
    with pytest.raises(BitstreamError, match="0 tables, must be 1 to 3"):
        unpack_segment(data, [400, 2520, 2520], [1, 2], grid=(40, 7, 9), version=1)


def segment_in_context(**changes: bytes) -> bytes:
    """A hand-made one: three weights; of two frames of 1 x 2 cells one channel, in context."""
    weights = ONE_STATE + rans_compress(np.array([0, 1, -1]), np.zeros(3, int), MODELS[:1])
    # Gains 0 and 6; residuals 1 -1, with the first level's table, then 2 3 with the second's: after
    # the first frame m is 128, e is 137, which has the level 14, and the gain makes it 20.
    symbols, tables = np.array([0, 6, 1, -1, 2, 3]), np.array([0, 1, 0, 0, 1, 1])
    models = [MixtureModel(16, 40, 128, 0, -2, 2), MixtureModel(8, 16, 255, 3, 0, 6)]
    tables[0] = 1
    payload = ONE_STATE + rans_compress(symbols, tables, models)
    parts = {
        "step": struct.pack("<f", 0.5),
        "num_tables": b"\x00\x02",
        "tables": TABLE + OTHER,
        "use": b"\x80\x00" + b"\x78\x01",
        "levels": b"\x01" + b"\x13\x02" + b"\x00\x01",
        "lengths": bytes([len(weights), len(payload)]),
        "payloads": weights + payload,
    }
    assert set(changes) <= set(parts)
    return b"".join({**parts, **changes}.values())


def test_a_segment_in_context_made_by_hand() -> None:
    quantized = unpack_segment(segment_in_context(), [3, 4], [1, 1], grid=(2, 1, 2), version=3)
    assert quantized.step_codes == [0, -8]
    assert [s.tolist() for s in quantized.symbols] == [[0, 1, -1], [1, -1, 3, 2]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_tables": b"\x00\x00", "tables": b""}, "0 tables, must be 1 to 50"),
        ({"num_tables": b"\x00\x33", "tables": TABLE * 51}, "51 tables, must be 1 to 50"),
        ({"use": b"\x80\x02\x78\x01"}, "table 2, must be under 2"),
        ({"use": b"\x80\x00\x78\x03"}, "prediction 3, must be 0 to 2"),
        ({"levels": b"\x02\x13\x02\x00\x01"}, "table 2, must be under 2"),
        ({"levels": b"\x01\x13\x02\x00\x07"}, "table 7, must be under 2"),
        ({"levels": b"\x00\x13\x01\x00"}, "a table is used by no tensor"),
        ({"levels": b"\x01\x13\x00"}, "0 levels from 19 on"),
        ({"levels": b"\x01\x2f\x02\x00\x01"}, "2 levels from 47 on, must be 1 or more, up to 48"),
        (
            {"levels": b"\x01\x12\x02\x00\x01", "payloads": (ONE_STATE + b"\1" * 8) * 2},
            "payload is not the code",
        ),
    ],
)
def test_refusal_in_context(changes: dict[str, bytes], words: str) -> None:
    with pytest.raises(BitstreamError, match=f"^segment.*{words}"):
        unpack_segment(segment_in_context(**changes), [3, 4], [1, 1], grid=(2, 1, 2), version=3)


def test_gains_out_of_range_are_refused() -> None:
    model = MixtureModel(8, 16, 255, 64, 60, 65)
    payloads = [
        ONE_STATE + rans_compress(np.full(n, 64), np.zeros(n, int), [model])
        for n in (3, 2)  # one weight more than gains and residuals
    ]
    table = bytes([8, 16, 255]) + b"\x80\x01\x04\x01"
    side = struct.pack("<f", 1.0) + b"\x00\x01" + table + b"\x80\x00\x80\x00"
    side += b"\x00\x00\x01\x00" + bytes(map(len, payloads))
    with pytest.raises(BitstreamError, match=r"gains are 64 to 64, must be \+-63"):
        unpack_segment(side + b"".join(payloads), [3, 1], [1, 1], grid=(1, 1, 1), version=3)


def test_differences_that_add_up_too_far_are_refused() -> None:
    model = MixtureModel(8, 16, 255, 2000, 1999, 2001)
    payloads = [
        ONE_STATE + rans_compress(np.full(n, 2000), np.zeros(n, int), [model]) for n in (3, 4)
    ]
    side = struct.pack("<f", 1.0) + b"\x01" + bytes([8, 16, 255]) + b"\xa0\x1f\x01\x01"
    side += b"\x80\x00\x80\x01" + bytes(map(len, payloads))
    with pytest.raises(BitstreamError, match=r"differences add up to 4000, must be \+-2048"):
        unpack_segment(side + b"".join(payloads), [3, 4], [1, 1], grid=(2, 1, 2), version=3)


WIDE = bytes([255, 255, 128, 0]) + b"\x80\x10" + b"\xff\x0f"  # -2048 to 2047 about 0


@pytest.mark.parametrize(
    ("count", "words"), [(64, "payload has 0 bytes"), (65, "tables of 266240 symbols, must be <=")]
)
def test_tables_of_many_symbols(count: int, words: str) -> None:
    side = struct.pack("<f", 0.5) + bytes([count]) + WIDE * count
    side += b"".join(b"\x80" + (bytes([2 * i]) if i < 64 else b"\x80\x01") for i in range(count))
    with pytest.raises(BitstreamError, match=f"^segment: {words}"):
        unpack_segment(side + b"\0", [3] * count, [count], version=3)


def test_tables_are_merged_where_the_format_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tensors = [rng.integers(-most, most + 1, 500).astype(np.int32) for most in (2, 60, 2000)]
    quantized = QuantizedTensors(1.0, [0] * 3, tensors)
    assert pack_segment(quantized, [3])[4] == 3  # tables
    for module in ("_side", "_tables"):
        monkeypatch.setattr(f"inrcodec.bitstream.{module}.MAX_TABLE_SYMBOLS", 4050)
    data = pack_segment(quantized, [3])
    assert data[4] == 2
    decoded = unpack_segment(data, [500] * 3, [3])
    assert [s.tolist() for s in decoded.symbols] == [s.tolist() for s in tensors]


def test_every_table_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = _mixture._gaussian

    def counted(code: int, reach: int) -> list[int]:
        made.append(code)
        return original(code, reach)

    monkeypatch.setattr(_mixture, "_gaussian", counted)
    read(segment())
    assert made == [40, 16]


def test_sizes_add_up() -> None:
    data = segment()
    sizes = segment_sizes(data, SIZES, GROUPS, version=3)
    assert sizes.payload_bytes == (len(FIRST), len(SECOND))
    assert sizes.side_bytes + sum(sizes.payload_bytes) == len(data)
    frequencies = MODELS[0].frequencies()
    bits = [16 - np.log2(frequencies[s + 2]) for s in (0, 0, -2, 1)]
    assert sizes.tensor_bits[2] == pytest.approx(sum(bits))
    # Histograms of [0 1 -1 0 2 0 0 -2 1] and [3 3 6].
    counts = np.array([4, 2, 1, 1, 1]), np.array([2, 1])
    entropy = sum(float((c * -np.log2(c / c.sum())).sum()) for c in counts)
    assert sizes.entropy_bits == pytest.approx(entropy)


def test_too_many_symbols_for_their_bytes_are_not_written() -> None:
    tensors = [np.zeros((1 << 20) + 256 * 300, np.int32)]
    with pytest.raises(ValueError, match=r"symbols in .* bytes are too many"):
        pack_segment(QuantizedTensors(1.0, [0], tensors), [1])


@pytest.mark.parametrize(
    "step",
    [0.0, -0.0, -1.0, 2.0**-61, 2.0**61, float("inf"), -float("inf"), float("nan"), 1e-45],
)
def test_step(step: float) -> None:
    with pytest.raises(BitstreamError, match=r"segment: step is .*, must be 2\*\*-60 to 2\*\*60"):
        read(segment(step=struct.pack("<f", step)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_tables": b"\x00"}, "0 tables, must be 1 to 3"),
        ({"num_tables": b"\x04", "tables": TABLE * 4}, "4 tables, must be 1 to 3"),
        ({"num_tables": b"\xff\xff\xff\xff\x0f"}, "4294967295 tables, must be 1 to 3"),
        ({"num_tables": b"\x03", "tables": TABLE + OTHER + TABLE}, "a table is used by no tensor"),
        ({"use": b"\x80\x00\x78\x00\x88\x00"}, "a table is used by no tensor"),
        ({"use": b"\x80\x00\x78\x04\x88\x00"}, "table 2, must be under 2"),
        ({"use": b"\x80\x00\x78\x02\x88\x01"}, "differences in time of a tensor that has none"),
        ({"use": b"\x80\x01\x78\x02\x88\x00"}, "differences in time of a tensor that has none"),
        ({"use": b"\x80\x00\x78\xfe\xff\x07\x88\x00"}, "table 65535, must be under 2"),
        ({"tables": TABLE + bytes([8, 16, 255, 6, 0, 0])}, "alphabet is 1, must be 2 to 4096"),
        # -2048 to 2048, and from the largest number there is.
        (
            {"tables": TABLE + b"\x08\x10\xff\x00\x80\x10\x80\x10"},
            "alphabet is 4097, must be 2 to 4096",
        ),
        (
            {"tables": TABLE + b"\x08\x10\xff\x00\x81\x10\x00"},
            r"symbols -2049 to 0, must be \+-2048",
        ),
        (
            {"tables": TABLE + b"\x08\x10\xff\x00\x00\x81\x10"},
            r"symbols 0 to 2049, must be \+-2048",
        ),
        (
            {"tables": TABLE + b"\x08\x10\xff\xfe\xff\xff\xff\x0f\x00\x01"},
            r"symbols 2147483647 to 2147483648, must be \+-2048",
        ),
        (
            {"tables": TABLE + b"\x08\x10\xff\x00\xff\xff\xff\xff\x0f\xff\xff\xff\xff\x0f"},
            r"must be \+-2048",
        ),
        ({"lengths": b"\x08\x80\x00"}, "integer out of form"),
        ({"lengths": b"\x80\x80\x80\x80\x80\x01\x08"}, "integer out of form"),
        ({"lengths": b"\xff\xff\xff\xff\x10\x08"}, "integer out of form"),
        ({"lengths": b"\xff\xff\xff\xff\x0f\x08"}, "wants 4294967295 more bytes and has"),
        ({"lengths": bytes([len(FIRST), len(SECOND) + 1])}, "more bytes and has"),
        ({"lengths": bytes([len(FIRST) - 4, len(SECOND)])}, "4 bytes too many"),
        ({"lengths": bytes([len(FIRST) - 1, len(SECOND) + 1])}, "must be a multiple of 4"),
        ({"lengths": bytes([0, len(FIRST) + len(SECOND)])}, "payload has 0 bytes"),
        ({"rest": b"\0"}, "has 1 bytes too many"),
        ({"rest": SECOND}, "has 9 bytes too many"),
        ({"payloads": FIRST}, "wants 9 more bytes and has 0"),
        ({"payloads": ONE_STATE + FIRST[:0:-1] + SECOND}, "payload is not the code of 8 symbols"),
        ({"payloads": FIRST + b"\0" * 9}, "payload is not the code of 4 symbols"),
        (
            {"lengths": bytes([len(FIRST), len(SECOND) + 4]), "payloads": FIRST + SECOND + b"1234"},
            "payload is not the code of 4 symbols",
        ),
        (
            {"lengths": bytes([len(FIRST), 29]), "payloads": FIRST + SECOND + b"\0" * 20},
            "payload has 28 bytes, must be a multiple of 4 from 8 to 24",
        ),
    ],
)
def test_refusal(changes: dict[str, bytes], words: str) -> None:
    with pytest.raises(BitstreamError, match=f"^segment.*{words}"):
        read(segment(**changes))


def test_every_truncation() -> None:
    data = segment()
    for length in range(len(data)):
        with pytest.raises(BitstreamError, match="segment wants"):
            read(data[:length])


@pytest.mark.parametrize(
    ("num_symbols", "num_bytes"),
    [((1 << 20) + 2049, 8), ((1 << 28) + 1, 8), (1 << 40, 8), ((1 << 28) + 1, 1 << 21)],
)
def test_symbols_that_cannot_come_from_so_few_bytes(num_symbols: int, num_bytes: int) -> None:
    length = {8: b"\x08", 1 << 21: b"\x80\x80\x80\x01"}[num_bytes]
    data = struct.pack("<f", 1) + b"\x01" + TABLE + b"\x80\x00" + length + b"\1" * num_bytes
    words = f"segment: {num_symbols} symbols cannot come from {num_bytes} bytes"
    with pytest.raises(BitstreamError, match=words):
        unpack_segment(data, [num_symbols], [1], version=3)


@pytest.mark.parametrize(
    "sizes", [[5, 3, 3], [5, 3, 5], [5, 4, 4], [3, 5, 4], [0, 8, 4], [5, 3, 0]]
)
def test_tensors_of_other_sizes(sizes: list[int]) -> None:
    with pytest.raises(BitstreamError, match="segment: payload"):
        unpack_segment(segment(), sizes, GROUPS, version=3)

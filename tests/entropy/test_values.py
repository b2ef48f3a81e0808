"""Values of side information come back, in as many bits as their tables say."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.entropy import MAX_VALUE_BITS, MixtureModel, ValueReader, ValueWriter

FIELDS = [
    MixtureModel(8, 25, 255, center=3, lowest=0, highest=MAX_VALUE_BITS),
    MixtureModel(1, 44, 96, center=0, lowest=0, highest=MAX_VALUE_BITS),
]


@given(st.lists(st.tuples(st.integers(0, 65535), st.sampled_from(FIELDS))))
def test_round_trip(values: list[tuple[int, MixtureModel]]) -> None:
    writer = ValueWriter()
    for value, field in values:
        writer.put(value, field)
    reader = ValueReader(writer.to_bytes())
    assert [reader.get(field) for _, field in values] == [value for value, _ in values]
    reader.end()


@given(st.lists(st.integers(-32768, 32767)))
def test_round_trip_of_signed_ones(values: list[int]) -> None:
    writer = ValueWriter()
    for value in values:
        writer.put_signed(value, FIELDS[0])
    reader = ValueReader(writer.to_bytes())
    assert [reader.get_signed(FIELDS[0]) for _ in values] == values
    reader.end()


def test_bits_are_nearly_those_of_the_tables() -> None:
    """So small a state loses a third of a per cent."""
    rng, writer, bits = random.Random(0), ValueWriter(), 0.0
    for _ in range(2000):
        value = int(2 ** rng.uniform(0, 10)) - 1
        writer.put(value, FIELDS[0])
        num_bits = value.bit_length()
        bits += 16 - math.log2(FIELDS[0].frequencies()[num_bits]) + max(0, num_bits - 1)
    assert bits / 8 < len(writer.to_bytes()) < 1.005 * bits / 8 + 4


@pytest.mark.parametrize("value", [-1, 65536])
def test_a_value_out_of_range_is_not_written(value: int) -> None:
    with pytest.raises(ValueError, match=f"value is {value}, must be 0 to 65535"):
        ValueWriter().put(value, FIELDS[0])


def test_a_field_has_a_table_of_numbers_of_bits() -> None:
    with pytest.raises(ValueError, match="field has 0 to 15 bits, must be 0 to 16"):
        ValueWriter().put(1, MixtureModel(8, 25, 255, center=3, lowest=0, highest=15))


def good() -> bytes:
    writer = ValueWriter()
    for value in (5, 0, 1000, 70, 3):
        writer.put(value, FIELDS[0])
    return writer.to_bytes()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"", "values have 0 bytes, must be an even number >= 4"),
        (good()[:2], "values have 2 bytes"),
        (good() + b"\0", "must be an even number"),
        (b"\xff\xff\0\0" + good()[4:], "state 65535, must be >= 2"),
        (good()[:-2], "values end too early"),
        (good() + b"\0\0", "not the code of what was read"),
        (b"\0\0\1\0", "not the code|end too early"),
        (b"\xff" * len(good()), "not the code|end too early"),
    ],
)
def test_what_is_no_code_is_refused(code: bytes, words: str) -> None:
    def read_all() -> None:
        reader = ValueReader(code)
        for _ in range(5):
            reader.get(FIELDS[0])
        reader.end()

    with pytest.raises(ValueError, match=words):
        read_all()

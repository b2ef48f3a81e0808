"""Side information as values: what comes back, and one refusal for every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from inrcodec.bitstream import _side
from inrcodec.bitstream._side import Levels, Side
from inrcodec.bitstream._varint import ByteReader, uvarint
from inrcodec.entropy import MixtureModel, ValueWriter
from inrcodec.errors import BitstreamError
from inrcodec.quantization import Prediction

MODELS = [MixtureModel(16, 40, 128, 0, -2, 2), MixtureModel(8, 16, 255, 3, 0, 6)]
PLAIN = Side(0.5, MODELS, [0, -8, 8], [0, 1, 0], [Prediction.TIME], None)
IN_CONTEXT = Side(
    2.0, MODELS, [0, -128, 127], [0, 0], [Prediction.TIME_AND_SPACE], Levels(1, 19, [0, 1])
)
GROUPS = [2, 1]


def read(data: bytes, *, groups: Sequence[int] = GROUPS, num_frames: int = 4) -> Side:
    reader = ByteReader(data, "segment")
    side = Side.read(reader, groups, num_frames=num_frames, version=4)
    reader.end()
    return side


@pytest.mark.parametrize("side", [PLAIN, IN_CONTEXT])
def test_round_trip(side: Side) -> None:
    assert read(side.to_bytes()) == side


@pytest.mark.parametrize("mix", [0, 32, 64, 96, 128, 160, 192, 224, 255])
def test_every_mix_that_is_fitted_has_a_code(mix: int) -> None:
    side = replace(PLAIN, models=[MODELS[0], MixtureModel(255, 0, mix, -2047, -2048, 2047)])
    assert read(side.to_bytes()) == side


def test_another_mix_has_none() -> None:
    side = replace(PLAIN, models=[MODELS[0], replace(MODELS[1], mix=33)])
    with pytest.raises(ValueError, match="mix is 33, must be one of 255, 224"):
        side.to_bytes()


# What each value of PLAIN is, by field, in the order of the file.
VALUES = [
    ("laplace", 16 - 64),
    ("gaussian", 40 - 64),
    ("mix", 4),
    ("center", 0),
    ("below", 2),
    ("above", 0),
    ("laplace", 8 - 16),
    ("gaussian", 16 - 40),
    ("mix", 0),
    ("center", 3),
    ("below", 3),
    ("above", 0),
    ("step", 0),
    ("step", -8),
    ("step", 8 - 0),
    ("table", 0),
    ("table", 1),
    ("table", 0),
    ("prediction", 1),
]


def by_hand(values: Sequence[tuple[str, int]], *, front: bytes = b"\0\0\0\x3f\2") -> bytes:
    writer = ValueWriter()
    for name, value in values:
        put = writer.put if name in ("mix", "below", "prediction") else writer.put_signed
        put(value, _side._FIELDS[name])
    code = writer.to_bytes()
    return front + uvarint(len(code)) + code


def test_side_information_made_by_hand() -> None:
    assert by_hand(VALUES) == PLAIN.to_bytes()
    assert read(by_hand(VALUES)) == PLAIN


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, -65, "laplace_code is -1, must be 0 to 255"),
        (0, 192, "laplace_code is 256, must be 0 to 255"),
        (1, 192, "gaussian_code is 256, must be 0 to 255"),
        (2, 9, "mix 9, must be 0 to 8"),
        (4, 0, "alphabet|center"),
        (4, 2049, r"symbols -2049 to 2049, must be \+-2048"),
        (5, -3, "center"),
        (11, -4, "center"),
        (12, 128, "step code 128, must be -128 to 127"),
        (13, -129, "step code -129, must be -128 to 127"),
        (15, -1, "table -1, must be >= 0"),
        (15, 2, "table 2, must be under 2"),
        (16, 0, "a table is used by no tensor"),
        (18, 2, "prediction 2, must be 0 to 1"),
    ],
)
def test_refusal(at: int, value: int, words: str) -> None:
    values = [(name, value if i == at else old) for i, (name, old) in enumerate(VALUES)]
    with pytest.raises(BitstreamError, match=f"^segment: .*({words})"):
        read(by_hand(values))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"front": b"\0\0\0\x3f\0\0"}, "0 tables, must be 1 to 51"),  # in context
        ({"front": b"\0\0\0\x3f\4"}, "4 tables, must be 1 to 3"),
        ({"front": b"\0\0\0\0\2"}, "step is 0.0"),
        ({"values": VALUES[:-1]}, "values"),
        ({"values": [*VALUES, ("prediction", 1)]}, "values are not the code"),
    ],
)
def test_refusal_of_the_whole(changes: dict[str, Any], words: str) -> None:
    told = {"values": VALUES, **changes}
    with pytest.raises(BitstreamError, match=f"segment.*{words}"):
        read(by_hand(told.pop("values"), **told))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"levels": Levels(2, 19, [0, 1])}, "table 2, must be under 2"),
        ({"levels": Levels(1, 19, [0, 7])}, "table 7, must be under 2"),
        ({"levels": Levels(1, 19, [0, -1])}, "table -1, must be >= 0"),
        ({"levels": Levels(0, 19, [0])}, "a table is used by no tensor"),
        ({"levels": Levels(1, 19, [])}, "0 levels from 19 on"),
        ({"levels": Levels(1, 47, [0, 1])}, "2 levels from 47 on, must be 1 or more, up to 48"),
        ({"models": [*MODELS] * 25}, "a table is used by no tensor"),
        ({"models": [*MODELS] * 27}, "54 tables, must be 1 to 51"),
    ],
)
def test_refusal_in_context(changes: dict[str, Any], words: str) -> None:
    side = replace(IN_CONTEXT, **changes)
    with pytest.raises(BitstreamError, match=f"^segment: .*({words})"):
        read(side.to_bytes())


def test_differences_need_two_frames() -> None:
    with pytest.raises(BitstreamError, match="differences in time of a tensor that has none"):
        read(PLAIN.to_bytes(), num_frames=1)
    assert read(IN_CONTEXT.to_bytes(), num_frames=1) == IN_CONTEXT  # there it is no difference


def test_every_truncation() -> None:
    for data in (PLAIN.to_bytes(), IN_CONTEXT.to_bytes()):
        for length in range(len(data)):
            with pytest.raises(BitstreamError, match="segment"):
                read(data[:length])


def test_fields_have_the_likeliest_numbers_of_bits() -> None:
    """What usual values take, of a table and of a tensor: 6.3 and 2 bytes in version 3."""
    many = [MixtureModel(20 + i, 60 + i, 255, 0, -9 - i, 9 + i) for i in range(40)]
    side = replace(PLAIN, models=many, step_codes=[-8] * 40, table_of=list(range(40)))
    side = replace(side, predictions=[])
    data = side.to_bytes()
    assert read(data, groups=[40], num_frames=0) == side
    assert len(data) < 40 * (3.5 + 1)

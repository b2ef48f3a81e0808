"""The tables: literal ones, and what holds for all of them."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inrcodec.entropy import MAX_ALPHABET, TABLE_BITS, MixtureModel

Six = tuple[int, int, int, int, int, int]


@st.composite
def sixes(draw: st.DrawFn) -> Six:
    code = st.one_of(st.sampled_from((0, 255)), st.integers(0, 255))
    size = draw(st.one_of(st.sampled_from((2, 3, MAX_ALPHABET)), st.integers(2, MAX_ALPHABET)))
    lowest = draw(st.integers(-2048, 2048))
    highest = lowest + size - 1
    center = draw(st.one_of(st.sampled_from((lowest, highest)), st.integers(lowest, highest)))
    return draw(code), draw(code), draw(code), center, lowest, highest


@settings(deadline=None, max_examples=200)
@given(sixes())
@example((0, 0, 0, -2048, -2048, 2047))
@example((0, 0, 255, 2047, -2048, 2047))
@example((255, 255, 0, 0, -2048, 2047))
@example((255, 255, 255, 2047, -2048, 2047))
@example((0, 255, 128, 0, 0, 1))
@example((255, 0, 128, 1, 0, 1))
def test_frequencies_are_positive_and_add_up(six: Six) -> None:
    model = MixtureModel(*six)
    table = model.frequencies()
    assert len(table) == model.alphabet_size
    assert min(table) >= 1
    assert sum(table) == 1 << TABLE_BITS
    assert max(table) == table[model.center - model.lowest]


@settings(deadline=None, max_examples=50)
@given(sixes())
def test_frequencies_fall_with_the_distance(six: Six) -> None:
    model = MixtureModel(*six)
    table = np.array(model.frequencies())
    at = model.center - model.lowest
    assert (np.diff(table[: at + 1]) >= 0).all()
    assert (np.diff(table[at:]) <= 0).all()
    reach = min(at, len(table) - 1 - at)
    assert (table[at - reach : at] == table[at + 1 : at + 1 + reach][::-1]).all()


@pytest.mark.parametrize(
    ("six", "golden"),
    [
        ((16, 40, 128, 0, -2, 2), [11226, 13535, 16014, 13535, 11226]),
        ((0, 0, 0, 0, 0, 1), [65535, 1]),
        ((255, 255, 255, 1, 0, 1), [32767, 32769]),
        ((8, 16, 255, 3, 0, 6), [1505, 6315, 14959, 19978, 14959, 6315, 1505]),
        ((24, 0, 0, -1, -4, 4), [6533, 7466, 8532, 9756, 8532, 7466, 6533, 5716, 5002]),
    ],
)
def test_golden_tables(six: Six, golden: list[int]) -> None:
    assert MixtureModel(*six).frequencies() == golden


@pytest.mark.parametrize(
    ("six", "golden"),
    [
        ((255, 255, 128, -2048, -2048, 2047), "cc543c86364a92cc"),
        ((40, 100, 77, 2047, -2048, 2047), "d5fb6e2612a98116"),
        ((3, 200, 200, 10, -30, 50), "2a8b734d6262eecb"),
    ],
)
def test_golden_digests_of_wide_tables(six: Six, golden: str) -> None:
    table = np.array(MixtureModel(*six).frequencies(), "<u4")
    assert hashlib.sha256(table.tobytes()).hexdigest()[:16] == golden


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"laplace_code": -1}, "laplace_code is -1, must be 0 to 255"),
        ({"laplace_code": 256}, "laplace_code is 256, must be 0 to 255"),
        ({"gaussian_code": -1}, "gaussian_code is -1, must be 0 to 255"),
        ({"gaussian_code": 256}, "gaussian_code is 256, must be 0 to 255"),
        ({"mix": -1}, "mix is -1, must be 0 to 255"),
        ({"mix": 256}, "mix is 256, must be 0 to 255"),
        ({"center": -3}, r"center is -3, must be -2 \(lowest\) to 2"),
        ({"center": 3}, r"center is 3, must be -2 \(lowest\) to 2"),
        ({"lowest": 0, "highest": 0}, "alphabet is 1, must be 2 to 4096"),
        ({"highest": 4094}, "alphabet is 4097, must be 2 to 4096"),
    ],
)
def test_numbers_out_of_range(change: dict[str, int], words: str) -> None:
    good: dict[str, Any] = {"laplace_code": 16, "gaussian_code": 40, "mix": 128}
    good |= {"center": 0, "lowest": -2, "highest": 2}
    with pytest.raises(ValueError, match=words):
        MixtureModel(**{**good, **change})

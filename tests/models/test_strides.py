from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec.models import choose_strides
from inrcodec.models._strides import grid_of


def padding(height: int, width: int) -> float:
    product = math.prod(choose_strides(height, width))
    rows, columns = grid_of(height, width, product)
    return rows * columns * product**2 / (height * width) - 1


def test_hnerv_strides() -> None:
    assert choose_strides(640, 1280) == (5, 4, 4, 2, 2)
    assert grid_of(640, 1280, 320) == (2, 4)


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (64, 64),
        (144, 176),
        (160, 320),
        (240, 320),
        (288, 352),
        (360, 640),
        (480, 640),
        (480, 854),
        (540, 960),
        (640, 1280),
        (720, 1280),
        (960, 1920),
        (1080, 1920),
        (1920, 1080),
        (2160, 3840),
    ],
)
def test_common_sizes_are_padded_little(height: int, width: int) -> None:
    assert padding(height, width) <= 0.03
    rows, columns = grid_of(height, width, math.prod(choose_strides(height, width)))
    assert 8 <= rows * columns <= 64


@settings(deadline=None, max_examples=200)
@given(st.integers(64, 2160), st.integers(64, 3840))
def test_any_size(height: int, width: int) -> None:
    strides = choose_strides(height, width)
    assert 1 <= len(strides) <= 5
    assert set(strides) <= {2, 3, 4, 5}
    assert list(strides) == sorted(strides, reverse=True)
    assert padding(height, width) <= 0.15


@pytest.mark.parametrize(("height", "width"), [(1, 2), (8, 8), (16, 3840), (3, 50)])
def test_tiny_sizes_have_strides(height: int, width: int) -> None:
    assert math.prod(choose_strides(height, width)) <= max(height, width)

"""Upsampling strides: how a frame size becomes a small grid and a few integer factors.

In: the height and width of the frames. Out: strides in descending order, as HNeRV's 5 4 4 2 2,
so that `ceil(size / product)` cells times the product cover the frame with little padding.
The networks compute at the padded size and crop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations_with_replacement

__all__ = ["CELLS_WEIGHT", "FACTORS", "choose_strides", "grid_of", "product_of"]

FACTORS = (5, 4, 3, 2)
CELLS_WEIGHT = 0.02
"""Padding that one octave away from the wished number of cells is worth."""

_AVOID_PADDING = 0.15  # more padding than this is taken only when there is no other way
_MIN_PRODUCT = 2


@lru_cache(maxsize=1024)
def choose_strides(
    height: int,
    width: int,
    *,
    num_cells: int = 8,
    max_stages: int = 5,
    cells_weight: float = CELLS_WEIGHT,
) -> tuple[int, ...]:
    """Pick up to `max_stages` strides from {2, 3, 4, 5} for frames of this size.

    Weighs the padding against the distance from `num_cells` grid cells (HNeRV: 2x4 = 8;
    NeRV: 8x16 = 128), an octave of which counts as much as a padding by `cells_weight`; among equal
    products the one with the most stages wins.

    >>> choose_strides(640, 1280)
    (5, 4, 4, 2, 2)
    >>> choose_strides(720, 1280)
    (4, 3, 3, 2, 2)
    >>> choose_strides(272, 640), choose_strides(272, 640, cells_weight=0.03)
    ((5, 2, 2, 2), (3, 3, 2, 2, 2))
    >>> choose_strides(640, 1280, num_cells=128, max_stages=4)
    (5, 4, 2, 2)
    """

    def score(product: int) -> tuple[float, int]:
        grid_height, grid_width = grid_of(height, width, product)
        padded = grid_height * grid_width * product**2
        padding = padded / (height * width) - 1
        octaves = math.log2(grid_height * grid_width / num_cells)
        # Too few cells cost more than too many: they leave little for an embedding to say.
        cost = padding + cells_weight * (octaves if octaves > 0 else -2 * octaves)
        return cost + (padding > _AVOID_PADDING), product

    products = _factorizations(max_stages)
    allowed = [p for p in products if p <= max(height, width, _MIN_PRODUCT)]
    return products[min(allowed, key=score)]


def grid_of(height: int, width: int, product: int) -> tuple[int, int]:
    """Rows and columns of cells of `product` x `product` pixels that cover a frame."""
    return -(-height // product), -(-width // product)


def product_of(strides: Iterable[int]) -> int:
    """How many pixels a side of one grid cell has."""
    return math.prod(strides)


@lru_cache(maxsize=8)
def _factorizations(max_stages: int) -> dict[int, tuple[int, ...]]:
    """Every product of up to `max_stages` factors, with its longest factorization."""
    products: dict[int, tuple[int, ...]] = {}
    for num_stages in range(1, max_stages + 1):
        for strides in combinations_with_replacement(FACTORS, num_stages):
            product = math.prod(strides)
            if len(products.get(product, ())) < num_stages:
                products[product] = strides
    return products

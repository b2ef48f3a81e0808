"""How stored embeddings that are fitted themselves are laid out: grid, strides, channels.

In: the frames' size, their number and the budget. Out: strides of the stages and of the head, whose
product is a cell's side, and the embedding's channels. A third of the values are embeddings, which
is a sixth of a file's bytes or more, motion included: cells of 4 channels, as many as that pays
for, of 32x32 pixels or more.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import NamedTuple

from ._config import Sizing, check_range
from ._strides import FACTORS, grid_of

__all__ = ["Layout", "choose_layout"]

_SHARE = 0.33  # of the stored values, at most
_CELL_PIXELS = 32 * 32  # at least, or nearly
_CHANNELS = 4  # of each cell, until the cells are as few as _FEW_CELLS
_FEW_CELLS = 6
_MOST_CHANNELS = 16
# (of the head, or the nearest; stages without it, at most): the larger the head, the fewer
# multiply-accumulates, and the less a long fit reaches.
_FINE, _QUICK = (2, 4), (4, 3)
_TWO_STAGES = 8  # pixels a side of a cell, from which there are two stages and a head

# Padding that half as many cells as wished are worth; twice as many, which leave few channels to
# each, cost double.
_OCTAVE_WEIGHT = 0.1
_AVOID_PADDING = 0.15
_STAGE_WEIGHT = 0.05  # of a stage less than at most: strides of 2 learn more than one of 4
_SMALLEST_SHARE = 1 / 3  # of the budget that one channel everywhere may take: widths stay to choose


class Layout(NamedTuple):
    """What a decoder of embeddings upsamples, and by how much."""

    strides: tuple[int, ...]  # of the stages, descending
    head_stride: int
    embedding_channels: int


def choose_layout(
    sizing: Sizing, *, strides: tuple[int, ...] | None = None, head_stride: int | None = None
) -> Layout:
    """Choose a grid with about the wished number of cells and little padding.

    Given `strides` fix the grid; a head is then only what `head_stride` says.

    >>> choose_layout(Sizing(320, 640, num_frames=132, num_params=268_000))
    Layout(strides=(2, 2, 2, 2), head_stride=2, embedding_channels=3)
    >>> choose_layout(Sizing(320, 640, num_frames=132, num_params=268_000, quick=True))
    Layout(strides=(2, 2, 2), head_stride=4, embedding_channels=3)
    >>> choose_layout(Sizing(144, 176, num_frames=120, num_params=30_000, quick=True))
    Layout(strides=(3, 3), head_stride=4, embedding_channels=4)
    """
    affordable = _SHARE * sizing.num_params / sizing.num_frames  # values a frame
    if head_stride is not None:
        check_range("head_stride", head_stride, 1, 5)
    if strides is None:
        strides, head = _split(sizing, affordable, head_stride)
    else:
        head = head_stride or 1
    rows, columns = sizing.grid((*strides, head))
    return Layout(strides, head, _channels(rows * columns, affordable))


def _channels(num_cells: int, affordable: float) -> int:
    return max(1, min(_MOST_CHANNELS, int(affordable / num_cells)))


def _split(
    sizing: Sizing, affordable: float, head_stride: int | None
) -> tuple[tuple[int, ...], int]:
    """Choose the stages' strides and the head's for so many values a frame."""
    most = sizing.height * sizing.width / _CELL_PIXELS
    wished = min(most, max(affordable / _CHANNELS, min(affordable, _FEW_CELLS)))
    wished = max(1.0, wished / sizing.cell_pixels)

    def cost(product: int) -> tuple[float, int]:
        rows, columns = grid_of(sizing.height, sizing.width, product)
        padding = rows * columns * product**2 / (sizing.height * sizing.width) - 1
        octaves = math.log2(rows * columns / wished)
        distance = _OCTAVE_WEIGHT * (2 * octaves if octaves > 0 else -octaves)
        excess = max(0.0, rows * columns / affordable - 1)  # of even a single channel
        smallest = rows * columns * sizing.num_frames + _smallest_decoder(*splits[product])
        excess += max(0.0, smallest / (_SMALLEST_SHARE * sizing.num_params) - 1)
        missing = _STAGE_WEIGHT * (max_stages - len(splits[product][0]))
        return padding + (padding > _AVOID_PADDING) + distance + excess + missing, product

    wished_head, max_stages = _QUICK if sizing.quick else _FINE
    splits = _splits(head_stride, wished_head=wished_head, max_stages=max_stages)
    longer = max(sizing.height, sizing.width)
    products = [p for p in splits if min(_TWO_STAGES, longer) <= p <= longer] or [min(splits)]
    return splits[min(products, key=cost)]


def _smallest_decoder(strides: tuple[int, ...], head_stride: int) -> int:
    """Count the parameters, nearly, of a decoder one channel wide."""
    return 10 * sum(stride**2 for stride in strides) + 30 * head_stride**2


@lru_cache(maxsize=16)
def _splits(
    head_stride: int | None, *, wished_head: int, max_stages: int
) -> dict[int, tuple[tuple[int, ...], int]]:
    """For every product, the stages' strides and the head's: a head as wished, many stages."""

    def preference(split: tuple[tuple[int, ...], int]) -> tuple[int, ...]:
        strides, head = split
        return head == 1, abs(head - wished_head), -len(strides), head

    splits: dict[int, tuple[tuple[int, ...], int]] = {}
    for num_stages in range(1, max_stages + 1):
        for strides in combinations_with_replacement(FACTORS, num_stages):
            for head in (1, *FACTORS) if head_stride is None else (head_stride,):
                product = math.prod(strides) * head
                if product >= _TWO_STAGES and (num_stages == 1 or head == 1 != head_stride):
                    continue
                split = strides, head
                splits[product] = min(split, splits.get(product, split), key=preference)
    return splits

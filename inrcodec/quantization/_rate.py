"""Rate as a function of the global step, from empirical entropies: fast enough to ask often.

In: float32 tensors with their step codes. Out: the bytes that coding them will take, nearly, and
the global step at which they take a wished number of bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy import empirical_entropy_bits
from inrcodec.quantization._prediction import Grid, best_residuals
from inrcodec.quantization._uniform import (
    MAX_STEP_CODE,
    MAX_SYMBOL,
    MIN_GLOBAL_STEP,
    quantize,
    step_size,
)

_NEAR_OCTAVES = 1e-5  # of the step that is searched for
_TINY = 1e-12
_SMALL_TENSOR = 256


def admissible_step_codes(
    tensors: Sequence[NDArray[np.float32]], step_codes: Sequence[int], global_step: float
) -> list[int]:
    """Return `step_codes`, raised where a tensor's symbols would leave `+-MAX_SYMBOL`.

    They stay within a signed byte for any step down to `finest_global_step`.
    """
    admissible = []
    for tensor, code in zip(tensors, step_codes, strict=True):
        largest = float(np.abs(tensor).max(initial=0.0))
        if largest > 0:
            code = max(code, math.ceil(8 * math.log2(largest / (global_step * MAX_SYMBOL))))
        admissible.append(min(code, MAX_STEP_CODE))
    return admissible


def finest_global_step(tensors: Sequence[NDArray[np.float32]]) -> float:
    """Return the smallest global step at which `tensors` have step codes for all their symbols."""
    largest = max(float(np.abs(tensor).max(initial=0.0)) for tensor in tensors)
    return max(max(largest, _TINY) / float(step_size(MAX_SYMBOL, MAX_STEP_CODE)), MIN_GLOBAL_STEP)


def estimate_bytes(
    tensors: Sequence[NDArray[np.float32]],
    step_codes: Sequence[int],
    global_step: float,
    *,
    grids: Sequence[Grid | None] | None = None,
) -> float:
    """Return the bytes that entropy coding `tensors` will take, nearly, side information apart.

    Args:
        tensors: flat float32 arrays.
        step_codes: one a tensor.
        global_step: their common factor.
        grids: of each tensor that runs over frames their number, rows and columns; None for
            weights, and by default.

    What context saves is not in it. A tensor of a few elements has too few for its own histogram to
    be a fair estimate: the small ones are pooled by their spread, as they share tables in the file.
    """
    bits = 0.0
    pooled: dict[int, list[NDArray[np.int32]]] = {}
    codes = admissible_step_codes(tensors, step_codes, global_step)
    grids = [None] * len(tensors) if grids is None else grids
    for tensor, code, grid in zip(tensors, codes, grids, strict=True):
        symbols = quantize(tensor, step_size(global_step, code))
        if grid is not None:
            _, symbols = best_residuals(symbols.reshape(grid))
        if symbols.size >= _SMALL_TENSOR:
            bits += empirical_entropy_bits(symbols)
        else:
            spread = int(math.log2(1 + float(np.abs(symbols).mean())))
            pooled.setdefault(spread, []).append(symbols.ravel())
    for group in pooled.values():
        bits += empirical_entropy_bits(np.concatenate(group))
    return bits / 8


def solve_global_step(
    tensors: Sequence[NDArray[np.float32]],
    step_codes: Sequence[int],
    num_bytes: float,
    *,
    grids: Sequence[Grid | None] | None = None,
) -> float:
    """Return the finest global step at which `tensors` take at most `num_bytes`, nearly.

    The arguments are those of `estimate_bytes`. When they take fewer bytes at any step (12 bits an
    element at the most), that is `finest_global_step`, nearly.
    """
    from scipy.optimize import brentq  # which decoders need not wait for

    high = max(
        math.log2(max(float(np.abs(tensor).max(initial=0.0)), _TINY)) - code / 8
        for tensor, code in zip(tensors, step_codes, strict=True)
    )
    low = math.log2(finest_global_step(tensors))

    @cache
    def excess(log_step: float) -> float:
        return estimate_bytes(tensors, step_codes, 2.0**log_step, grids=grids) - num_bytes

    if excess(low) <= 0:
        found = low
    elif excess(high) >= 0:
        found = high
    else:
        found = float(brentq(excess, low, high, xtol=_NEAR_OCTAVES)) + _NEAR_OCTAVES
    return float(np.float32(2.0**found))

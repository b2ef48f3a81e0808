"""Prediction of embeddings: exactly undone, and the best one is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from inrcodec.quantization import (
    Prediction,
    best_residuals,
    channels_of,
    residuals_of,
    symbols_of,
)

CUBES = arrays(
    np.int32, st.tuples(*[st.integers(1, 6)] * 3), elements=st.integers(-2047, 2047), fill=None
)


@settings(deadline=None, max_examples=60)
@given(CUBES, st.sampled_from(Prediction))
def test_undone(symbols: NDArray[np.int32], prediction: Prediction) -> None:
    residuals = residuals_of(symbols, prediction)
    assert symbols_of(residuals, prediction).tolist() == symbols.tolist()


def test_channels_are_undone_each_by_its_own() -> None:
    symbols = np.random.default_rng(2).integers(-99, 100, (5, 3, 4, 6)).astype(np.int32)
    predictions = [Prediction(i) for i in (2, 0, 1, 2, 0)]
    pairs = zip(symbols, predictions, strict=True)
    residuals = np.stack([residuals_of(*pair) for pair in pairs])
    found = channels_of(residuals, predictions)
    assert [channel.tolist() for channel in found] == symbols.reshape(5, -1).tolist()


def _noise() -> NDArray[np.int32]:
    return np.random.default_rng(0).integers(-40, 41, (20, 6, 7)).astype(np.int32)


def _drift() -> NDArray[np.int32]:
    """Every cell goes its own way, slowly."""
    return _noise()[:1] + np.cumsum(_noise() // 20, axis=0).astype(np.int32)


def _pan() -> NDArray[np.int32]:
    """All cells go the same way, nearly, and far."""
    way = np.random.default_rng(1).integers(-30, 31, (20, 1, 1)).astype(np.int32)
    return np.cumsum(way + _noise() // 40, axis=0).astype(np.int32)


@pytest.mark.parametrize(
    ("symbols", "best"),
    [
        (_noise(), Prediction.NONE),
        (_drift(), Prediction.TIME),
        (_pan(), Prediction.TIME_AND_SPACE),
    ],
)
def test_the_best_is_taken(symbols: NDArray[np.int32], best: Prediction) -> None:
    found, residuals = best_residuals(symbols)
    assert found == best
    assert residuals.tolist() == residuals_of(symbols, best).tolist()
    assert best_residuals(symbols, (Prediction.NONE,))[0] == Prediction.NONE


def test_residuals_stay_in_the_symbols_range() -> None:
    """Equal jumps cost least as differences, but these would be too large."""
    jumps = np.tile(np.array([-2000, 2000], np.int32), 30).reshape(60, 1, 1)
    assert best_residuals(jumps)[0] == Prediction.NONE

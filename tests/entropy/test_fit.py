"""The fit: payloads near the entropy of what networks' weights look like, and edge cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from inrcodec.entropy import (
    MAX_ALPHABET,
    MixtureModel,
    empirical_entropy_bits,
    fit_mixture,
    rans_compress,
)

NUM_SYMBOLS = 60_000
DRAWS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "laplace, scale 0.3": lambda rng: rng.laplace(0, 0.3, NUM_SYMBOLS),
    "laplace, scale 4": lambda rng: rng.laplace(0, 4, NUM_SYMBOLS),
    "laplace, scale 40": lambda rng: rng.laplace(0, 40, NUM_SYMBOLS),
    "gaussian, sigma 0.4": lambda rng: rng.normal(0, 0.4, NUM_SYMBOLS),
    "gaussian, sigma 5": lambda rng: rng.normal(0, 5, NUM_SYMBOLS),
    "gaussian, sigma 80": lambda rng: rng.normal(0, 80, NUM_SYMBOLS),
    "student t, 3 degrees": lambda rng: 4 * rng.standard_t(3, NUM_SYMBOLS),
    "student t, 5 degrees": lambda rng: 20 * rng.standard_t(5, NUM_SYMBOLS),
    "uniform, 17 values": lambda rng: rng.integers(-8, 9, NUM_SYMBOLS).astype(float),
    "uniform, 1000 values": lambda rng: rng.integers(-500, 500, NUM_SYMBOLS).astype(float),
    "gaussian off centre": lambda rng: rng.normal(37.4, 6, NUM_SYMBOLS),
    "laplace off centre": lambda rng: rng.laplace(-500.5, 4, NUM_SYMBOLS),
    "nearly all zero": lambda rng: rng.laplace(0, 0.12, NUM_SYMBOLS),
}


@pytest.mark.parametrize("name", DRAWS)
def test_payload_is_within_a_percent_of_the_entropy(name: str) -> None:
    rng = np.random.default_rng(7)
    symbols = np.clip(np.rint(DRAWS[name](rng)), -2047, 2047).astype(np.int32)
    payload = rans_compress(symbols, np.zeros(symbols.size, np.int32), [fit_mixture(symbols)[0]])
    entropy_bits = empirical_entropy_bits(symbols)
    assert 0.98 * entropy_bits <= 8 * len(payload) <= 1.01 * entropy_bits


def _numpy_entropy_bits(symbols: NDArray[np.int32]) -> float:
    _, counts = np.unique(symbols, return_counts=True)
    return float((counts * -np.log2(counts / counts.sum())).sum())


def test_entropy_is_that_of_the_histogram() -> None:
    symbols = np.random.default_rng(0).integers(-9, 30, (40, 50)).astype(np.int32)
    assert empirical_entropy_bits(symbols) == pytest.approx(_numpy_entropy_bits(symbols))


def test_entropy_of_nothing_and_of_equal_symbols() -> None:
    assert empirical_entropy_bits(np.zeros(0, np.int32)) == 0
    assert empirical_entropy_bits(np.full(9, -5, np.int32)) == 0


@pytest.mark.parametrize("value", [-2048, -1, 0, 2047])
def test_equal_symbols_cost_next_to_nothing(value: int) -> None:
    symbols = np.full(30_000, value, np.int32)
    model, _ = fit_mixture(symbols)
    assert model.center == value
    assert len(rans_compress(symbols, np.zeros(symbols.size, np.int32), [model])) <= 12


def test_one_symbol() -> None:
    model, _ = fit_mixture(np.array([7], np.int32))
    assert (model.lowest, model.center, model.highest) == (7, 7, 8)


def test_widest_alphabet() -> None:
    symbols = np.array([-2048, 0, 2047], np.int32)
    assert fit_mixture(symbols)[0].alphabet_size == MAX_ALPHABET


def test_too_wide() -> None:
    with pytest.raises(ValueError, match="symbols span 4097 values, must be <= 4096"):
        fit_mixture(np.array([-2048, 2048], np.int32))


def test_no_symbols() -> None:
    with pytest.raises(ValueError, match="symbols is empty"):
        fit_mixture(np.zeros(0, np.int32))


def test_same_symbols_same_model() -> None:
    symbols = np.random.default_rng(3).laplace(0, 3, 5000).round().astype(np.int32)
    model, _ = fit_mixture(symbols)
    assert fit_mixture(symbols.reshape(50, 100))[0] == model
    assert isinstance(model, MixtureModel)
    assert (model.lowest, model.highest) == (symbols.min(), symbols.max())

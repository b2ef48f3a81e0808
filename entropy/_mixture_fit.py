"""Choosing the integers of a `MixtureModel` for given symbols (the encoder's side only).

In: integer symbols. Out: the model that codes them in nearly the fewest bits. Floats are fine
here: the file stores the chosen integers, and the decoder makes its table from those alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy._mixture import MAX_ALPHABET, TABLE_BITS, MixtureModel

# Codes beyond this give tables as flat as an alphabet of MAX_ALPHABET symbols can show.
_MAX_CODE = 200
_MIXES = (0, 32, 64, 96, 128, 160, 192, 224, 255)


def empirical_entropy_bits(symbols: NDArray[np.int32]) -> float:
    """Bits that `symbols` cost under their own histogram: the order-0 entropy times their number.

    >>> empirical_entropy_bits(np.array([0, 0, 1, 1], np.int32))
    4.0
    """
    if symbols.size == 0:
        return 0.0
    counts = np.bincount(symbols.ravel().astype(np.int64) - int(symbols.min()))
    counts = counts[counts > 0]
    return abs(float((counts * np.log2(counts / symbols.size)).sum()))


def fit_mixture(symbols: NDArray[np.int32]) -> MixtureModel:
    """Return the `MixtureModel` that codes `symbols` in nearly the fewest bits.

    Args:
        symbols: one or more integers, of any shape, spanning fewer than `MAX_ALPHABET` values.

    Raises:
        ValueError: `symbols` is empty or spans too many values.
    """
    if symbols.size == 0:
        raise ValueError("symbols is empty, must hold one symbol or more")
    lowest, highest = int(symbols.min()), int(symbols.max())
    if highest == lowest:
        highest += 1
    if highest - lowest + 1 > MAX_ALPHABET:
        raise ValueError(f"symbols span {highest - lowest + 1} values, must be <= {MAX_ALPHABET}")
    counts = np.bincount(symbols.ravel().astype(np.int64) - lowest, minlength=highest - lowest + 1)
    center = int(np.clip(round(float(np.median(symbols))), lowest, highest))
    search = _Search(counts, center - lowest)
    laplace_code, gaussian_code, mix = search.best()
    return MixtureModel(laplace_code, gaussian_code, mix, center, lowest, highest)


class _Search:
    """Coordinate descent on (laplace_code, gaussian_code, mix), in steps that halve."""

    def __init__(self, counts: NDArray[np.int64], center: int) -> None:
        self.distance = np.abs(np.arange(len(counts)) - center).astype(np.float64)
        self.counts = counts
        total = counts.sum()
        self.mean_abs = max(1e-3, float((counts * self.distance).sum() / total))
        self.mean_square = max(1e-3, float((counts * self.distance**2).sum() / total))
        self.floor = len(counts) / (1 << TABLE_BITS)
        self.parts: dict[tuple[int, int], NDArray[np.float64]] = {}

    def best(self) -> tuple[int, int, int]:
        # Moments: E|d| = q / (1 - q) nearly, and E d^2 = 1 / (2 (1 - q)).
        point = [
            _nearest_code(1 / (1 + self.mean_abs)),
            _nearest_code(min(1.0, 1 / (2 * self.mean_square))),
            128,
        ]
        best_bits = self.bits(*point)
        for step in (8, 4, 2, 1):
            improved = True
            while improved:
                improved = False
                for candidate in self._neighbours(point, step):
                    bits = self.bits(*candidate)
                    if bits < best_bits - 1e-6:
                        point, best_bits, improved = candidate, bits, True
        return point[0], point[1], point[2]

    def bits(self, laplace_code: int, gaussian_code: int, mix: int) -> float:
        probability = (256 - mix) / 256 * self.part(laplace_code, 1)
        probability = probability + mix / 256 * self.part(gaussian_code, 2)
        probability = (1 - self.floor) * probability + 1 / (1 << TABLE_BITS)
        return float(-(self.counts * np.log2(probability)).sum())

    def part(self, code: int, power: int) -> NDArray[np.float64]:
        key = code, power
        if key not in self.parts:
            weight = (1 - 2.0 ** (-code / 8)) ** (self.distance**power)
            self.parts[key] = weight / weight.sum()
        return self.parts[key]

    @staticmethod
    def _neighbours(point: list[int], step: int) -> list[list[int]]:
        codes = [
            [point[0] + a * step, point[1] + b * step, point[2]]
            for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))
        ]
        mixes = [[point[0], point[1], mix] for mix in _MIXES]
        return [p for p in codes + mixes if min(p[:2]) >= 0 and max(p[:2]) <= _MAX_CODE]


def _nearest_code(decay: float) -> int:
    return int(np.clip(round(-8 * np.log2(decay)), 0, _MAX_CODE))

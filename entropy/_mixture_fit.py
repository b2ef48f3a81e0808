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
_SHARES = np.array(_MIXES)[:, None] / 256  # (mixes, 1)
_STEPS = ((8, 4, 2, 1), (2, 1))


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


def fit_mixture(symbols: NDArray[np.int32]) -> tuple[MixtureModel, float]:
    """Return the `MixtureModel` that codes `symbols` in nearly the fewest bits, and those bits.

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
    laplace_code, gaussian_code, mix, bits = search.best()
    return MixtureModel(laplace_code, gaussian_code, mix, center, lowest, highest), bits


class _Search:
    """Descent on the two codes, in steps that shrink; the best mix of a pair is looked up."""

    def __init__(self, counts: NDArray[np.int64], center: int) -> None:
        self.distance = np.abs(np.arange(len(counts)) - center).astype(np.float64)
        self.present = np.flatnonzero(counts)
        self.counts = counts[self.present]
        total = counts.sum()
        self.mean_abs = max(1e-3, float((counts * self.distance).sum() / total))
        self.mean_square = max(1e-3, float((counts * self.distance**2).sum() / total))
        self.floor = len(counts) / (1 << TABLE_BITS)
        self.parts: dict[tuple[int, int], NDArray[np.float64]] = {}
        self.known: dict[tuple[int, int], tuple[float, int]] = {}

    def best(self) -> tuple[int, int, int, float]:
        # Moments: E|d| = q / (1 - q) nearly, and E d^2 = 1 / (2 (1 - q)).
        start = (
            _nearest_code(1 / (1 + self.mean_abs)),
            _nearest_code(min(1.0, 1 / (2 * self.mean_square))),
        )
        # Large steps can leave the right hollow, small ones never reach it: try both.
        pair = min((self.descend(start, steps) for steps in _STEPS), key=lambda p: self.known[p][0])
        bits, mix = self.known[pair]
        return *pair, mix, bits

    def descend(self, pair: tuple[int, int], steps: tuple[int, ...]) -> tuple[int, int]:
        for step in steps:
            improved = True
            while improved:
                near = self._neighbours(pair, step)
                self.look_up([pair, *near])
                nearest = min(near, key=lambda p: self.known[p][0])
                improved = self.known[nearest][0] < self.known[pair][0] - 1e-6
                pair = nearest if improved else pair
        return pair

    def look_up(self, pairs: list[tuple[int, int]]) -> None:
        """Find the fewest bits that these pairs of codes reach, and the mixes that do."""
        new = [pair for pair in pairs if pair not in self.known]
        if not new:
            return
        laplace = np.stack([self.part(code, 1) for code, _ in new])[:, None]  # (pairs, 1, symbols)
        gaussian = np.stack([self.part(code, 2) for _, code in new])[:, None]
        mixed = (1 - _SHARES) * laplace + _SHARES * gaussian  # (pairs, mixes, symbols)
        probability = (1 - self.floor) * mixed + 1 / (1 << TABLE_BITS)
        bits = -(np.log2(probability) @ self.counts)  # (pairs, mixes)
        for pair, of_mixes in zip(new, bits, strict=True):
            self.known[pair] = float(of_mixes.min()), _MIXES[int(of_mixes.argmin())]

    def part(self, code: int, power: int) -> NDArray[np.float64]:
        key = code, power
        if key not in self.parts:
            weight = (1 - 2.0 ** (-code / 8)) ** (self.distance**power)
            self.parts[key] = weight[self.present] / weight.sum()
        return self.parts[key]

    @staticmethod
    def _neighbours(pair: tuple[int, int], step: int) -> list[tuple[int, int]]:
        moves = [(a * step, b * step) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
        near = [(pair[0] + a, pair[1] + b) for a, b in moves]
        return [p for p in near if min(p) >= 0 and max(p) <= _MAX_CODE]


def _nearest_code(decay: float) -> int:
    return int(np.clip(round(-8 * np.log2(decay)), 0, _MAX_CODE))

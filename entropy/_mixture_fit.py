"""Choosing the integers of a `MixtureModel` for given symbols (the encoder's side only).

In: integer symbols. Out: the model that codes them in nearly the fewest bits. Floats are fine
here: the file stores the chosen integers, and the decoder makes its table from those alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inrcodec.entropy._mixture import MAX_ALPHABET, TABLE_BITS, MixtureModel

# Codes beyond this give tables as flat as an alphabet of MAX_ALPHABET symbols can show.
_MAX_CODE = 200
_MIXES = (0, 32, 64, 96, 128, 160, 192, 224, 255)
_SHARES = np.array(_MIXES)[:, None] / 256  # (mixes, 1)
_OTHER_SHARES = 1 - _SHARES
_STEPS = ((8, 4, 2, 1), (2, 1))
_MOVES = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


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
    laplace_code, gaussian_code, mix, bits = _found(counts.tobytes(), center - lowest)
    return MixtureModel(laplace_code, gaussian_code, mix, center, lowest, highest), bits


@lru_cache(maxsize=1024)  # many tensors are packed again, as they were or in another way
def _found(counts: bytes, center: int) -> tuple[int, int, int, float]:
    return _Search(np.frombuffer(counts, np.int64), center).best()


class _Search:
    """Descent on the two codes, in steps that shrink; the best mix of a pair is looked up."""

    def __init__(self, counts: NDArray[np.int64], center: int) -> None:
        away = np.abs(np.arange(len(counts)) - center)
        num_away = np.bincount(away).astype(np.float64)  # symbols of the alphabet, by distance
        counts = np.bincount(away, weights=counts)  # those on both sides are as likely
        present = np.flatnonzero(counts)
        distance = np.arange(len(counts), dtype=np.float64)
        self.counts = counts[present]
        self.mean_abs = max(1e-3, float(counts @ distance / counts.sum()))
        self.mean_square = max(1e-3, float(counts @ distance**2 / counts.sum()))
        self.floor = len(away) / (1 << TABLE_BITS)
        self.laplace = _Parts(distance, num_away, present)
        self.gaussian = _Parts(distance**2, num_away, present)
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
        laplace = self.laplace.of([code for code, _ in new])
        gaussian = self.gaussian.of([code for _, code in new])
        x = _OTHER_SHARES * laplace  # (pairs, mixes, distances)
        x += _SHARES * gaussian
        x *= 1 - self.floor
        x += 1 / (1 << TABLE_BITS)  # probabilities
        bits = -(np.log2(x, out=x) @ self.counts)  # (pairs, mixes)
        fewest, mixes = bits.min(1).tolist(), bits.argmin(1).tolist()
        for pair, its_bits, mix in zip(new, fewest, mixes, strict=True):
            self.known[pair] = its_bits, _MIXES[mix]

    @staticmethod
    def _neighbours(pair: tuple[int, int], step: int) -> list[tuple[int, int]]:
        near = [(pair[0] + a * step, pair[1] + b * step) for a, b in _MOVES]
        return [p for p in near if 0 <= p[0] <= _MAX_CODE and 0 <= p[1] <= _MAX_CODE]


def _nearest_code(decay: float) -> int:
    return int(np.clip(round(-8 * np.log2(decay)), 0, _MAX_CODE))


class _Parts:
    """What one part of a mixture gives to the symbols that occur, by its code."""

    def __init__(
        self,
        exponents: NDArray[np.float64],
        num_symbols: NDArray[np.float64],
        present: NDArray[np.int64],
    ) -> None:
        self.exponents = exponents
        self.num_symbols = num_symbols
        self.present = present
        self.rows: dict[int, NDArray[np.float64]] = {}

    def of(self, codes: list[int]) -> NDArray[np.float64]:
        """Return the probabilities (codes, 1, distances)."""
        for code in codes:
            if code not in self.rows:
                weights = (1 - 2.0 ** (-code / 8)) ** self.exponents
                self.rows[code] = weights[self.present] / (weights @ self.num_symbols)
        return np.array([self.rows[code] for code in codes])[:, None]

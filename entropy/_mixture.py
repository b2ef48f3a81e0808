"""Integer probability tables: a two-sided geometric and a discrete Gaussian, mixed.

In: six small integers that the file stores. Out: one 16-bit frequency for every symbol between
`lowest` and `highest`, none of them zero, adding up to 2**16. Only integers are used, so that the
same six numbers give the same table on every machine.

The geometric part is the discrete Laplace distribution; quantised network weights lie between it
and a Gaussian (NVRC, arXiv 2409.07414, codes them as Gaussians; HNeRV with a Huffman table).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

TABLE_BITS = 16
"""Frequencies of a table add up to `2**TABLE_BITS`, CompressAI's precision."""

MAX_ALPHABET = 4096
"""Most symbols a table may admit."""

_ONE = 1 << 32
# round(2**32 * 2**(-i / 8)): decays are powers of two in steps of an eighth of an octave.
_OCTAVE = (
    4294967296,
    3938502376,
    3611622603,
    3311872529,
    3037000500,
    2784941738,
    2553802834,
    2341847524,
)


@dataclass(frozen=True)
class MixtureModel:
    """A probability model over the integers `lowest` to `highest`, made from six integers.

    With `decay(code) = 2**(-code / 8)`, a symbol at distance d from `center` has the weight
    `(1 - decay(laplace_code))**d` in the first part and `(1 - decay(gaussian_code))**(d * d)` in
    the second; each part is normalised, and the second has the share `mix / 256`.

    >>> MixtureModel(16, 40, 128, center=0, lowest=-2, highest=2).frequencies()
    [11226, 13535, 16014, 13535, 11226]
    """

    laplace_code: int  # 0 to 255
    gaussian_code: int  # 0 to 255
    mix: int  # 0 to 255, share of the Gaussian part in 256ths
    center: int  # the most probable symbol
    lowest: int  # smallest symbol admitted
    highest: int  # largest symbol admitted

    def __post_init__(self) -> None:
        for name in ("laplace_code", "gaussian_code", "mix"):
            if not 0 <= getattr(self, name) <= 255:
                raise ValueError(f"{name} is {getattr(self, name)}, must be 0 to 255")
        if not self.lowest <= self.center <= self.highest:
            raise ValueError(
                f"center is {self.center}, must be {self.lowest} (lowest) to {self.highest}"
            )
        if not 2 <= self.alphabet_size <= MAX_ALPHABET:
            raise ValueError(f"alphabet is {self.alphabet_size}, must be 2 to {MAX_ALPHABET}")

    @property
    def alphabet_size(self) -> int:
        """Number of symbols admitted."""
        return self.highest - self.lowest + 1

    def frequencies(self) -> list[int]:
        """One frequency a symbol, `lowest` first: each at least 1, adding up to `2**TABLE_BITS`."""
        return list(self._table)

    @cached_property
    def _table(self) -> list[int]:
        reach = max(self.center - self.lowest, self.highest - self.center)
        laplace = self._spread(_geometric(self.laplace_code, reach))
        gaussian = self._spread(_gaussian(self.gaussian_code, reach))
        laplace_sum, gaussian_sum = sum(laplace), sum(gaussian)
        mixed = [
            (256 - self.mix) * (a << 32) // laplace_sum + self.mix * (b << 32) // gaussian_sum
            for a, b in zip(laplace, gaussian, strict=True)
        ]
        mixed_sum = sum(mixed)
        to_share = (1 << TABLE_BITS) - self.alphabet_size
        table = [1 + to_share * weight // mixed_sum for weight in mixed]
        table[self.center - self.lowest] += (1 << TABLE_BITS) - sum(table)
        return table

    def _spread(self, by_distance: list[int]) -> list[int]:
        """Weights by distance from the centre -> weights by symbol, `lowest` first."""
        left = by_distance[self.center - self.lowest : 0 : -1]
        return left + by_distance[: self.highest - self.center + 1]


def _decay(code: int) -> int:
    """`2**(-code / 8)` as a fraction of `2**32`, at least one of them."""
    return max(1, _OCTAVE[code % 8] >> (code // 8))


def _geometric(code: int, reach: int) -> list[int]:
    """`q**d` for d = 0 to `reach`, as fractions of `2**32`, rounded down at every step."""
    q = _ONE - _decay(code)
    return list(accumulate(range(reach), lambda w, _: (w * q) >> 32, initial=_ONE))


def _gaussian(code: int, reach: int) -> list[int]:
    """`q**(d * d)` for d = 0 to `reach`, as fractions of `2**32`, rounded down at every step."""
    ratio = q = _ONE - _decay(code)
    q_squared = (q * q) >> 32
    weights = [_ONE]
    for _ in range(reach):
        weights.append((weights[-1] * ratio) >> 32)
        ratio = (ratio * q_squared) >> 32
    return weights

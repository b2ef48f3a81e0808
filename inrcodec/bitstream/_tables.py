"""Choosing a segment's probability tables: few enough to be cheap, enough to fit (encoder only).

In: sets of symbols, each to be coded with one table. Out: tables, and which of them each set has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._side import MAX_TABLE_SYMBOLS
from inrcodec.entropy import MixtureModel, fit_mixture

_MODEL_BYTES = 4  # of a table in the file, nearly
_ENOUGH_SYMBOLS = 200


def choose_tables(sets: Sequence[NDArray[np.int32]]) -> tuple[list[MixtureModel], list[int]]:
    """Fit the tables; neighbours in spread share one while that makes the file smaller, or while
    the format has no room for so many symbols.

    Args:
        sets: of one or more symbols each.
    """
    order = sorted(range(len(sets)), key=lambda i: float(np.abs(sets[i]).mean()))
    clusters = [_Cluster(run, [sets[i] for i in run]) for run in _runs(order, sets)]
    merged = [a.merged(b) for a, b in pairwise(clusters)]
    while merged:
        savings = [
            a.bits + b.bits - both.bits
            for (a, b), both in zip(pairwise(clusters), merged, strict=True)
        ]
        at = savings.index(max(savings))
        if savings[at] <= 0 and _num_symbols(clusters) <= MAX_TABLE_SYMBOLS:
            break
        clusters[at : at + 2] = [merged.pop(at)]
        for i in (at - 1, at):
            if 0 <= i < len(merged):
                merged[i] = clusters[i].merged(clusters[i + 1])
    table_of = [0] * len(sets)
    for table, cluster in enumerate(clusters):
        for i in cluster.members:
            table_of[i] = table
    return [cluster.model for cluster in clusters], table_of


def _runs(order: list[int], sets: Sequence[NDArray[np.int32]]) -> list[list[int]]:
    """Cut `order` into runs of enough symbols to tell a distribution by."""
    runs: list[list[int]] = [[]]
    for i in order:
        if sum(sets[j].size for j in runs[-1]) >= _ENOUGH_SYMBOLS:
            runs.append([])
        runs[-1].append(i)
    return runs


def _num_symbols(clusters: Sequence[_Cluster]) -> int:
    return sum(cluster.model.alphabet_size for cluster in clusters)


class _Cluster:
    """Sets that share a table."""

    def __init__(self, members: list[int], symbols: list[NDArray[np.int32]]) -> None:
        self.members = members
        self.symbols = symbols
        self.model, payload_bits = fit_mixture(np.concatenate(symbols))
        self.bits = payload_bits + 8 * _MODEL_BYTES

    def merged(self, other: _Cluster) -> _Cluster:
        return _Cluster(self.members + other.members, self.symbols + other.symbols)

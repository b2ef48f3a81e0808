"""One segment: side information of quantiser and tables, then one rANS payload a tensor group.

In: `QuantizedTensors`, the embeddings (if any) last. Out: the payload of section SEGM, and back.
Names, order and shapes of the tensors are not stored: the header's network implies them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._varint import ByteReader, svarint, uvarint
from inrcodec.entropy import (
    MixtureModel,
    empirical_entropy_bits,
    fit_mixture,
    rans_compress,
    rans_decompress,
)
from inrcodec.errors import BitstreamError
from inrcodec.quantization import (
    MAX_SYMBOL,
    QuantizedTensors,
    differences_pay,
    temporal_difference,
    temporal_sum,
)

MAX_SYMBOLS = 1 << 28
# A payload of b bytes may stand for so many symbols: no hostile file makes much out of little.
_FREE_SYMBOLS = 1 << 20
_SYMBOLS_PER_BYTE = 16
_MIN_STEP, _MAX_STEP = 2.0**-60, 2.0**60
_MODEL_BYTES = 6  # of a table in the file, nearly
_ENOUGH_SYMBOLS = 200
_CODE_BIAS = 128


@dataclass(frozen=True)
class SegmentSizes:
    """Where the bytes of one segment are."""

    side_bytes: int  # steps, tables and lengths
    payload_bytes: tuple[int, ...]  # one a tensor group
    tensor_bits: tuple[float, ...]  # bits that each tensor's symbols take, by its table
    entropy_bits: float  # empirical: under the histogram of the symbols that share a table


def pack_segment(
    quantized: QuantizedTensors, groups: Sequence[int], *, num_frames: int = 1
) -> bytes:
    """Entropy-code `quantized` into the payload of a section SEGM.

    Args:
        quantized: the segment's integers.
        groups: how many tensors each payload holds, in order, adding up to all of them.
        num_frames: over which the tensors of the second group run.

    Raises:
        ValueError: the symbols are too many for the bytes they take.
    """
    frames_of = _frames_of(groups, num_frames)
    predicted = [
        differences_pay(symbols, frames)
        for symbols, frames in zip(quantized.symbols, frames_of, strict=True)
    ]
    coded = [
        temporal_difference(symbols, frames) if by_difference else symbols
        for symbols, frames, by_difference in zip(
            quantized.symbols, frames_of, predicted, strict=True
        )
    ]
    models, table_of = _choose_tables(coded)
    side = bytearray(struct.pack("<f", quantized.global_step))
    side += uvarint(len(models))
    for model in models:
        side += bytes([model.laplace_code, model.gaussian_code, model.mix])
        side += svarint(model.center)
        side += uvarint(model.center - model.lowest) + uvarint(model.highest - model.center)
    for code, table, by_difference in zip(quantized.step_codes, table_of, predicted, strict=True):
        side += bytes([code + _CODE_BIAS]) + uvarint(2 * table + by_difference)
    payloads = []
    for first, last in _spans(groups):
        symbols = np.concatenate(coded[first:last])
        sizes = [s.size for s in coded[first:last]]
        payload = rans_compress(symbols, np.repeat(table_of[first:last], sizes), models)
        if symbols.size > _most_symbols(len(payload)):
            raise ValueError(f"{symbols.size} symbols in {len(payload)} bytes are too many")
        payloads.append(payload)
        side += uvarint(len(payload))
    return bytes(side) + b"".join(payloads)


def unpack_segment(
    data: bytes, sizes: Sequence[int], groups: Sequence[int], *, num_frames: int = 1
) -> QuantizedTensors:
    """Read the payload of a section SEGM: the inverse of `pack_segment`.

    Args:
        data: the payload.
        sizes: elements of each tensor, as the network implies them.
        groups: how many tensors each rANS payload holds.
        num_frames: over which the tensors of the second group run.

    Raises:
        BitstreamError: what is wrong, before anything large is allocated.
    """
    side = _read_side(data, len(sizes), groups, num_frames)
    coded = _read_symbols(side, sizes, groups)
    symbols = [
        _undo_difference(tensor, num_frames) if by_difference else tensor
        for tensor, by_difference in zip(coded, side.predicted, strict=True)
    ]
    return QuantizedTensors(side.global_step, side.step_codes, symbols)


def segment_sizes(
    data: bytes, sizes: Sequence[int], groups: Sequence[int], *, num_frames: int = 1
) -> SegmentSizes:
    """Say where the bytes of a segment are, and how near its payloads are to the entropy.

    Arguments and errors are those of `unpack_segment`.
    """
    side = _read_side(data, len(sizes), groups, num_frames)
    coded = _read_symbols(side, sizes, groups)
    tensor_bits = []
    for tensor, table in zip(coded, side.table_of, strict=True):
        model = side.models[table]
        costs = 16 - np.log2(np.array(model.frequencies()))
        tensor_bits.append(float(costs[tensor - model.lowest].sum()))
    entropy_bits = 0.0
    for table in range(len(side.models)):
        shared = [s for s, t in zip(coded, side.table_of, strict=True) if t == table]
        entropy_bits += empirical_entropy_bits(np.concatenate(shared))
    payload_bytes = tuple(len(payload) for payload in side.payloads)
    return SegmentSizes(
        len(data) - sum(payload_bytes), payload_bytes, tuple(tensor_bits), entropy_bits
    )


@dataclass(frozen=True)
class _Side:
    """Everything of a segment but its symbols."""

    global_step: float
    models: list[MixtureModel]
    step_codes: list[int]  # one a tensor
    table_of: list[int]  # likewise
    predicted: list[bool]  # likewise: whether differences in time are coded
    payloads: list[bytes]  # one a group


def _read_side(data: bytes, num_tensors: int, groups: Sequence[int], num_frames: int) -> _Side:
    reader = ByteReader(data, "segment")
    (global_step,) = struct.unpack("<f", reader.take(4))
    if not (math.isfinite(global_step) and _MIN_STEP <= global_step <= _MAX_STEP):
        raise BitstreamError(f"segment: step is {global_step}, must be 2**-60 to 2**60")
    num_models = reader.uvarint()
    if not 1 <= num_models <= num_tensors:
        raise BitstreamError(f"segment: {num_models} tables, must be 1 to {num_tensors} (tensors)")
    models = [_read_model(reader) for _ in range(num_models)]
    codes, table_of, predicted = [], [], []
    for frames in _frames_of(groups, num_frames):
        codes.append(reader.u8() - _CODE_BIAS)
        table, by_difference = divmod(reader.uvarint(), 2)
        if table >= num_models:
            raise BitstreamError(f"segment: table {table}, must be under {num_models}")
        if by_difference and frames < 2:
            raise BitstreamError("segment: differences in time of a tensor that has none")
        table_of.append(table)
        predicted.append(bool(by_difference))
    if set(table_of) != set(range(num_models)):
        raise BitstreamError("segment: a table is used by no tensor")
    lengths = [reader.uvarint() for _ in groups]
    payloads = [reader.take(length) for length in lengths]
    reader.end()
    return _Side(global_step, models, codes, table_of, predicted, payloads)


def _read_symbols(
    side: _Side, sizes: Sequence[int], groups: Sequence[int]
) -> list[NDArray[np.int32]]:
    """Decode the payloads into one flat array a tensor, as they were coded."""
    coded: list[NDArray[np.int32]] = []
    for (first, last), payload in zip(_spans(groups), side.payloads, strict=True):
        num_symbols = sum(sizes[first:last])
        if num_symbols > min(MAX_SYMBOLS, _most_symbols(len(payload))):
            raise BitstreamError(
                f"segment: {num_symbols} symbols cannot come from {len(payload)} bytes"
            )
        tables = np.repeat(np.array(side.table_of[first:last], np.int32), sizes[first:last])
        try:
            flat = rans_decompress(payload, tables, side.models)
        except ValueError as exc:
            raise BitstreamError(f"segment: {exc}") from exc
        coded += np.split(flat, np.cumsum(sizes[first:last])[:-1])
    return coded


def _undo_difference(differences: NDArray[np.int32], num_frames: int) -> NDArray[np.int32]:
    symbols = temporal_sum(differences, num_frames)
    largest = int(np.abs(symbols).max(initial=0))
    if largest > MAX_SYMBOL + 1:
        raise BitstreamError(
            f"segment: differences add up to {largest}, must be +-{MAX_SYMBOL + 1}"
        )
    return symbols.astype(np.int32)


def _frames_of(groups: Sequence[int], num_frames: int) -> list[int]:
    """Over how many frames each tensor runs: weights over none, that is 1, embeddings over all."""
    return [1] * groups[0] + [num_frames] * sum(groups[1:])


def _read_model(reader: ByteReader) -> MixtureModel:
    laplace_code, gaussian_code, mix = reader.take(3)
    center = reader.svarint()
    lowest, highest = center - reader.uvarint(), center + reader.uvarint()
    if max(-lowest, highest) > MAX_SYMBOL + 1:
        raise BitstreamError(f"segment: symbols {lowest} to {highest}, must be +-{MAX_SYMBOL + 1}")
    try:
        return MixtureModel(laplace_code, gaussian_code, mix, center, lowest, highest)
    except ValueError as exc:
        raise BitstreamError(f"segment: {exc}") from exc


def _spans(groups: Sequence[int]) -> list[tuple[int, int]]:
    ends = np.cumsum([0, *groups]).tolist()
    return list(pairwise(ends))


def _most_symbols(payload_bytes: int) -> int:
    return _FREE_SYMBOLS + _SYMBOLS_PER_BYTE * payload_bytes


def _choose_tables(
    tensors: Sequence[NDArray[np.int32]],
) -> tuple[list[MixtureModel], list[int]]:
    """Fit the tables; neighbours in spread share one while that makes the file smaller."""
    order = sorted(range(len(tensors)), key=lambda i: float(np.abs(tensors[i]).mean()))
    clusters = [_Cluster(run, [tensors[i] for i in run]) for run in _runs(order, tensors)]
    savings = [a.saving(b) for a, b in pairwise(clusters)]
    while savings and max(savings) > 0:
        at = savings.index(max(savings))
        clusters[at : at + 2] = [clusters[at].merged(clusters[at + 1])]
        del savings[at]
        for i in (at - 1, at):
            if 0 <= i < len(savings):
                savings[i] = clusters[i].saving(clusters[i + 1])
    table_of = [0] * len(tensors)
    for table, cluster in enumerate(clusters):
        for i in cluster.members:
            table_of[i] = table
    return [cluster.model for cluster in clusters], table_of


def _runs(order: list[int], tensors: Sequence[NDArray[np.int32]]) -> list[list[int]]:
    """Cut `order` into runs of enough symbols to tell a distribution by."""
    runs: list[list[int]] = [[]]
    for i in order:
        if sum(tensors[j].size for j in runs[-1]) >= _ENOUGH_SYMBOLS:
            runs.append([])
        runs[-1].append(i)
    return runs


class _Cluster:
    """Tensors that share a table."""

    def __init__(self, members: list[int], symbols: list[NDArray[np.int32]]) -> None:
        self.members = members
        self.symbols = symbols
        self.model, payload_bits = fit_mixture(np.concatenate(symbols))
        self.bits = payload_bits + 8 * _MODEL_BYTES

    def merged(self, other: _Cluster) -> _Cluster:
        return _Cluster(self.members + other.members, self.symbols + other.symbols)

    def saving(self, other: _Cluster) -> float:
        return self.bits + other.bits - self.merged(other).bits

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
from inrcodec.entropy import MixtureModel, fit_mixture, rans_compress, rans_decompress
from inrcodec.errors import BitstreamError
from inrcodec.quantization import MAX_SYMBOL, QuantizedTensors

MAX_TENSORS = 4096
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


def pack_segment(quantized: QuantizedTensors, groups: Sequence[int]) -> bytes:
    """Entropy-code `quantized` into the payload of a section SEGM.

    Args:
        quantized: the segment's integers.
        groups: how many tensors each payload holds, in order, adding up to all of them.

    Raises:
        ValueError: the symbols are too many for the bytes they take.
    """
    models, table_of = _choose_tables(quantized.symbols)
    side = bytearray(struct.pack("<f", quantized.global_step))
    side += uvarint(len(models))
    for model in models:
        side += bytes([model.laplace_code, model.gaussian_code, model.mix])
        side += svarint(model.center)
        side += uvarint(model.center - model.lowest) + uvarint(model.highest - model.center)
    for code, table in zip(quantized.step_codes, table_of, strict=True):
        side += bytes([code + _CODE_BIAS]) + uvarint(table)
    payloads = []
    for first, last in _spans(groups):
        symbols = np.concatenate(quantized.symbols[first:last])
        sizes = [s.size for s in quantized.symbols[first:last]]
        payload = rans_compress(symbols, np.repeat(table_of[first:last], sizes), models)
        if symbols.size > _most_symbols(len(payload)):
            raise ValueError(f"{symbols.size} symbols in {len(payload)} bytes are too many")
        payloads.append(payload)
        side += uvarint(len(payload))
    return bytes(side) + b"".join(payloads)


def unpack_segment(data: bytes, sizes: Sequence[int], groups: Sequence[int]) -> QuantizedTensors:
    """Read the payload of a section SEGM: the inverse of `pack_segment`.

    Args:
        data: the payload.
        sizes: elements of each tensor, as the network implies them.
        groups: how many tensors each rANS payload holds.

    Raises:
        BitstreamError: what is wrong, before anything large is allocated.
    """
    global_step, models, codes, table_of, payloads = _read_side(data, len(sizes), groups)
    symbols: list[NDArray[np.int32]] = []
    for (first, last), payload in zip(_spans(groups), payloads, strict=True):
        num_symbols = sum(sizes[first:last])
        if num_symbols > min(MAX_SYMBOLS, _most_symbols(len(payload))):
            raise BitstreamError(
                f"segment: {num_symbols} symbols cannot come from {len(payload)} bytes"
            )
        tables = np.repeat(np.array(table_of[first:last], np.int32), sizes[first:last])
        try:
            flat = rans_decompress(payload, tables, models)
        except ValueError as exc:
            raise BitstreamError(f"segment: {exc}") from exc
        symbols += np.split(flat, np.cumsum(sizes[first:last])[:-1])
    return QuantizedTensors(global_step, codes, symbols)


def segment_sizes(data: bytes, sizes: Sequence[int], groups: Sequence[int]) -> SegmentSizes:
    """Say where the bytes of a segment are, and how near its payloads are to the entropy."""
    _, models, _, table_of, payloads = _read_side(data, len(sizes), groups)
    symbols = unpack_segment(data, sizes, groups).symbols
    tensor_bits = []
    for tensor, table in zip(symbols, table_of, strict=True):
        costs = 16 - np.log2(np.array(models[table].frequencies()))
        tensor_bits.append(float(costs[tensor - models[table].lowest].sum()))
    entropy_bits = 0.0
    for table in range(len(models)):
        shared = [s for s, t in zip(symbols, table_of, strict=True) if t == table]
        _, counts = np.unique(np.concatenate(shared), return_counts=True)
        entropy_bits -= float((counts * np.log2(counts / counts.sum())).sum())
    payload_bytes = tuple(len(payload) for payload in payloads)
    return SegmentSizes(
        len(data) - sum(payload_bytes), payload_bytes, tuple(tensor_bits), entropy_bits
    )


def _read_side(
    data: bytes, num_tensors: int, groups: Sequence[int]
) -> tuple[float, list[MixtureModel], list[int], list[int], list[bytes]]:
    """Read everything of a segment but its symbols: step, tables, codes, tables' use, payloads."""
    reader = ByteReader(data, "segment")
    (global_step,) = struct.unpack("<f", reader.take(4))
    if not (math.isfinite(global_step) and _MIN_STEP <= global_step <= _MAX_STEP):
        raise BitstreamError(f"segment: step is {global_step}, must be 2**-60 to 2**60")
    num_models = reader.uvarint()
    if not 1 <= num_models <= num_tensors:
        raise BitstreamError(f"segment: {num_models} tables, must be 1 to {num_tensors} (tensors)")
    models = [_read_model(reader) for _ in range(num_models)]
    codes, table_of = [], []
    for _ in range(num_tensors):
        codes.append(reader.u8() - _CODE_BIAS)
        table_of.append(reader.uvarint())
        if table_of[-1] >= num_models:
            raise BitstreamError(f"segment: table {table_of[-1]}, must be under {num_models}")
    if set(table_of) != set(range(num_models)):
        raise BitstreamError("segment: a table is used by no tensor")
    lengths = [reader.uvarint() for _ in groups]
    payloads = [reader.take(length) for length in lengths]
    reader.end()
    return global_step, models, codes, table_of, payloads


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

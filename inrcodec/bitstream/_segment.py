"""One segment: side information of quantiser and tables, then one rANS payload a tensor group.

In: `QuantizedTensors`, the embeddings (if any) last. Out: the payload of section SEGM, and back.
Names, order and shapes of the tensors are not stored: the header's network implies them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._in_context import InContext, read_in_context
from inrcodec.bitstream._payload import open_payload, pack_payload
from inrcodec.bitstream._sections import VERSION
from inrcodec.bitstream._side import Levels, Side
from inrcodec.bitstream._tables import choose_tables
from inrcodec.bitstream._varint import ByteReader, uvarint
from inrcodec.entropy import MixtureModel, empirical_entropy_bits
from inrcodec.errors import BitstreamError
from inrcodec.quantization import (
    MAX_SYMBOL,
    Grid,
    Prediction,
    QuantizedTensors,
    best_residuals,
    channels_of,
)

# Of a group that may take fewer bytes tensor by tensor, as values do that are far from zero, such
# as Boost's (benchmarks/results/context.json); with more, packing both ways takes too long.
_FEW_SYMBOLS = 1 << 16


@dataclass(frozen=True)
class SegmentSizes:
    """Where the bytes of one segment are."""

    side_bytes: int  # steps, tables and lengths
    payload_bytes: tuple[int, ...]  # one a tensor group
    tensor_bits: tuple[float, ...]  # bits that each tensor's symbols take, by their tables
    entropy_bits: float  # empirical: under the histogram of the symbols that share a table


def pack_segment(
    quantized: QuantizedTensors,
    groups: Sequence[int],
    *,
    grid: Grid | None = None,
    num_plain: int = 0,
) -> bytes:
    """Entropy-code `quantized` into the payload of a section SEGM.

    The second group is coded in context, or tensor by tensor where that takes fewer bytes, which
    is tried with all but large ones.

    Args:
        quantized: the segment's integers.
        groups: how many tensors each payload holds, in order, adding up to all of them.
        grid: frames, rows and columns of the tensors of the second group, if they are such grids.
        num_plain: how many of these are coded value by value, as they are; none is in context then.

    Raises:
        TooDenseError: the symbols are too many for the bytes they take.
    """
    if grid is None or len(groups) < 2:
        return pack_plain(quantized, groups, None)
    if num_plain:
        return pack_plain(quantized, groups, grid, num_plain=num_plain)
    in_context = pack_in_context(quantized, groups, grid)
    if in_context is not None and math.prod(grid) * groups[1] > _FEW_SYMBOLS:
        return in_context
    plain = pack_plain(quantized, groups, grid)
    return plain if in_context is None else min(plain, in_context, key=len)


def unpack_segment(
    data: bytes,
    sizes: Sequence[int],
    groups: Sequence[int],
    *,
    grid: Grid | None = None,
    version: int = VERSION,
) -> QuantizedTensors:
    """Read the payload of a section SEGM: the inverse of `pack_segment`.

    Args:
        data: the payload.
        sizes: elements of each tensor, as the network implies them.
        groups: how many tensors each rANS payload holds.
        grid: frames, rows and columns of the tensors of the second group, if they are such grids.
        version: of the file's format.

    Raises:
        BitstreamError: what is wrong, before anything large is allocated.
    """
    coded = _decode(data, sizes, groups, grid, version)
    symbols = coded.symbols(groups, grid)
    return QuantizedTensors(coded.side.global_step, coded.side.step_codes, symbols)


def segment_sizes(
    data: bytes,
    sizes: Sequence[int],
    groups: Sequence[int],
    *,
    grid: Grid | None = None,
    version: int = VERSION,
) -> SegmentSizes:
    """Say where the bytes of a segment are, and how near its payloads are to the entropy.

    Arguments and errors are those of `unpack_segment`.
    """
    coded = _decode(data, sizes, groups, grid, version)
    coded.symbols(groups, grid)  # which are checked on the way
    models = coded.side.models
    costs = [16 - np.log2(np.array(model.frequencies())) for model in models]
    tensor_bits = []
    shared: list[list[NDArray[np.int32]]] = [[] for _ in models]
    for tensor in coded.by_table():
        tensor_bits.append(0.0)
        for table, symbols in tensor:
            tensor_bits[-1] += float(costs[table][symbols - models[table].lowest].sum())
            shared[table].append(symbols)
    used = [np.concatenate(symbols) for symbols in shared if symbols]
    entropy_bits = sum(map(empirical_entropy_bits, used))
    payload_bytes = tuple(len(payload) for payload in coded.payloads)
    return SegmentSizes(
        len(data) - sum(payload_bytes),
        payload_bytes,
        tuple(tensor_bits[: len(sizes)]),
        entropy_bits,
    )


@dataclass(frozen=True)
class _Coded:
    """A segment, its payloads decoded."""

    side: Side
    payloads: list[bytes]  # one a group
    tensors: list[NDArray[np.int32]]  # as they were coded, flat, but for those in context
    in_context: InContext | None

    def symbols(self, groups: Sequence[int], grid: Grid | None) -> list[NDArray[np.int32]]:
        """Return the symbols of all tensors, flat, those of the second group no longer predicted.

        Raises:
            BitstreamError: one is out of its range.
        """
        if self.in_context is not None:
            return self.tensors + _checked(self.in_context.channels())
        if grid is None or len(self.tensors) == groups[0]:
            return self.tensors
        cubes = np.stack([tensor.reshape(grid) for tensor in self.tensors[groups[0] :]])
        return self.tensors[: groups[0]] + _checked(channels_of(cubes, self.side.predictions))

    def by_table(self) -> Iterator[list[tuple[int, NDArray[np.int32]]]]:
        """Yield for each tensor, and at last for the gains, which symbols have which table."""
        for table, symbols in zip(self.side.table_of, self.tensors, strict=True):
            yield [(table, symbols)]
        if self.in_context is None or self.side.levels is None:
            return
        tables = self.side.levels.table_of_level()[self.in_context.levels]  # (N, C, h, w)
        for i in range(tables.shape[1]):
            symbols, its = self.in_context.residuals[:, i], tables[:, i]
            yield [(int(table), symbols[its == table]) for table in np.unique(its)]
        yield [(self.side.levels.gain_table, self.in_context.gains)]


def pack_plain(
    quantized: QuantizedTensors, groups: Sequence[int], grid: Grid | None, *, num_plain: int = 0
) -> bytes:
    """Pack each tensor with one table, those of the second group perhaps predicted in time, but for
    the first `num_plain`.
    """
    coded = list(quantized.symbols)
    predictions = [Prediction.NONE] * sum(groups[1:])
    if grid is not None and grid[0] > 1:
        for i, symbols in enumerate(coded[groups[0] :]):
            if i < num_plain:
                continue
            among = (Prediction.NONE, Prediction.TIME)
            predictions[i], residuals = best_residuals(symbols.reshape(grid), among)
            coded[groups[0] + i] = residuals.ravel()
    models, table_of = choose_tables(coded)
    side = Side(
        quantized.global_step, models, quantized.step_codes, table_of, predictions, levels=None
    )
    return _joined(side, _payloads(coded, table_of, groups, models))


def pack_in_context(quantized: QuantizedTensors, groups: Sequence[int], grid: Grid) -> bytes | None:
    """Pack the second group in context; None where the format has no room for its tables."""
    weights = quantized.symbols[: groups[0]]
    coded = InContext.of(quantized.symbols[groups[0] :], grid)
    used = np.unique(coded.levels)
    sets = [coded.residuals[coded.levels == level] for level in used]
    models, tables = choose_tables([*weights, coded.gains, *sets])
    table_of, gain_table = tables[: groups[0]], tables[groups[0]]
    # A level that no value has takes the table of the one before it.
    known = np.searchsorted(used, np.arange(used[0], used[-1] + 1), side="right") - 1
    its_tables = np.array(tables[groups[0] + 1 :])[known]
    levels = Levels(gain_table, int(used[0]), its_tables.tolist())
    if not levels.are_quick(models, grid[0]):
        return None
    side = Side(
        quantized.global_step, models, quantized.step_codes, table_of, coded.predictions, levels
    )
    indexes = levels.table_of_level()[coded.levels].ravel()
    indexes = np.concatenate([np.full(grid[0], gain_table), indexes])
    payloads = _payloads(weights, table_of, groups[:1], models)
    return _joined(side, [*payloads, pack_payload(coded.symbols(), indexes, models, group=1)])


def _payloads(
    tensors: Sequence[NDArray[np.int32]],
    table_of: Sequence[int],
    groups: Sequence[int],
    models: list[MixtureModel],
) -> list[bytes]:
    """Return a payload a group of tensors, each of which has one table."""
    sizes = [tensor.size for tensor in tensors]
    return [
        pack_payload(
            np.concatenate(tensors[first:last]),
            np.repeat(table_of[first:last], sizes[first:last]),
            models,
            group=group,
        )
        for group, (first, last) in enumerate(_spans(groups))
    ]


def _joined(side: Side, payloads: Sequence[bytes]) -> bytes:
    lengths = b"".join(uvarint(len(payload)) for payload in payloads)
    return side.to_bytes() + lengths + b"".join(payloads)


def _decode(
    data: bytes, sizes: Sequence[int], groups: Sequence[int], grid: Grid | None, version: int
) -> _Coded:
    reader = ByteReader(data, "segment")
    num_frames = 0 if grid is None else grid[0]
    side = Side.read(reader, groups, num_frames=num_frames, version=version)
    lengths = [reader.uvarint() for _ in groups]
    payloads = [reader.take(length) for length in lengths]
    reader.end()
    tensors: list[NDArray[np.int32]] = []
    in_context = None
    for (first, last), payload in zip(_spans(groups), payloads, strict=True):
        its_sizes = sizes[first:last]
        levels = side.levels if first > 0 else None
        num_symbols = sum(its_sizes) + (0 if levels is None else num_frames)
        try:
            symbols = open_payload(payload, side.models, num_symbols=num_symbols, version=version)
            if levels is not None and grid is not None:
                in_context = read_in_context(
                    symbols, predictions=side.predictions, levels=levels, grid=grid
                )
            else:
                tables = np.array(side.table_of[first:last], np.int32)
                flat = symbols.read(np.repeat(tables, its_sizes))
                tensors += np.split(flat, np.cumsum(its_sizes)[:-1])
            symbols.end()
        except ValueError as exc:
            raise BitstreamError(f"segment: {exc}") from exc
    return _Coded(side, payloads, tensors, in_context)


def _checked(channels: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int32]]:
    """Return symbols that are in their range."""
    for symbols in channels:
        largest = int(np.abs(symbols).max(initial=0))
        if largest > MAX_SYMBOL + 1:
            raise BitstreamError(
                f"segment: differences add up to {largest}, must be +-{MAX_SYMBOL + 1}"
            )
    return [symbols.astype(np.int32) for symbols in channels]


def _spans(groups: Sequence[int]) -> list[tuple[int, int]]:
    ends = np.cumsum([0, *groups]).tolist()
    return list(pairwise(ends))

"""The side information of a segment: quantiser, tables, and which symbols have which table.

In: its fields. Out: bytes, and back, with a `BitstreamError` for every rule that they break.
`docs/bitstream.md` is the specification.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._varint import ByteReader, svarint, uvarint
from inrcodec.entropy import NUM_LEVELS, MixtureModel
from inrcodec.errors import BitstreamError
from inrcodec.quantization import MAX_GLOBAL_STEP, MAX_SYMBOL, MIN_GLOBAL_STEP, Prediction

_CODE_BIAS = 128
_IN_CONTEXT = 0  # stands where else the number of tables does
# Of tables in context, frame by frame: what is more takes longer than a second to decode.
_MAX_FRAMES = 4096
_MAX_VISITS = 1 << 23
MAX_TABLE_SYMBOLS = 1 << 18
"""Most symbols that all tables of a segment may have together."""


@dataclass(frozen=True)
class Levels:
    """Which tables the embeddings have, where these follow from the context."""

    gain_table: int  # of the frames' gains
    first: int  # level; a value whose level is under it has the first table, one beyond the last
    tables: list[int]  # of this level and the next ones

    def table_of_level(self) -> NDArray[np.int64]:
        """Return the table of each of the `NUM_LEVELS` levels."""
        positions = (np.arange(NUM_LEVELS) - self.first).clip(0, len(self.tables) - 1)
        tables: NDArray[np.int64] = np.array(self.tables)[positions]
        return tables

    def are_quick(self, models: Sequence[MixtureModel], num_frames: int) -> bool:
        """Say whether the format admits so many frames with these tables, which are visited anew
        in each of them.
        """
        num_symbols = sum(models[table].alphabet_size for table in set(self.tables))
        return num_frames <= _MAX_FRAMES and num_frames * num_symbols <= _MAX_VISITS


@dataclass(frozen=True)
class Side:
    """Everything of a segment but its symbols."""

    global_step: float
    models: list[MixtureModel]
    step_codes: list[int]  # one a tensor
    table_of: list[int]  # one a tensor; with levels, one a tensor of the first group
    predictions: list[Prediction]  # one a tensor of the second group
    levels: Levels | None  # of the second group

    def to_bytes(self) -> bytes:
        """Return the side information but for the payloads' lengths.

        Raises:
            ValueError: the step is none that a file may have.
        """
        if not MIN_GLOBAL_STEP <= self.global_step <= MAX_GLOBAL_STEP:
            raise ValueError(f"step is {self.global_step}, must be 2**-60 to 2**60")
        side = bytearray(struct.pack("<f", self.global_step))
        if self.levels is not None:
            side += uvarint(_IN_CONTEXT)
        side += uvarint(len(self.models))
        for model in self.models:
            side += bytes([model.laplace_code, model.gaussian_code, model.mix])
            side += svarint(model.center)
            side += uvarint(model.center - model.lowest) + uvarint(model.highest - model.center)
        num_weights = len(self.step_codes) - len(self.predictions)
        predictions = [Prediction.NONE] * num_weights + self.predictions
        for i, (code, prediction) in enumerate(zip(self.step_codes, predictions, strict=True)):
            side += bytes([code + _CODE_BIAS])
            if self.levels is None:
                side += uvarint(2 * self.table_of[i] + prediction)
            else:
                side += uvarint(self.table_of[i] if i < num_weights else prediction)
        if self.levels is not None:
            side += uvarint(self.levels.gain_table)
            side += uvarint(self.levels.first) + uvarint(len(self.levels.tables))
            side += b"".join(map(uvarint, self.levels.tables))
        return bytes(side)

    @classmethod
    def read(
        cls, reader: ByteReader, groups: Sequence[int], *, num_frames: int, version: int
    ) -> Side:
        """Read what `to_bytes` wrote.

        Args:
            reader: at its start.
            groups: how many tensors each rANS payload holds.
            num_frames: over which the tensors of the second group run, 0 if over none.
            version: of the format.

        Raises:
            BitstreamError: what is wrong.
        """
        (global_step,) = struct.unpack("<f", reader.take(4))
        if not (math.isfinite(global_step) and MIN_GLOBAL_STEP <= global_step <= MAX_GLOBAL_STEP):
            raise BitstreamError(f"segment: step is {global_step}, must be 2**-60 to 2**60")
        num_models = reader.uvarint()
        in_context = num_models == _IN_CONTEXT and num_frames > 0 and version > 1
        most = sum(groups)
        if in_context:
            num_models, most = reader.uvarint(), groups[0] + 1 + NUM_LEVELS
        if not 1 <= num_models <= most:
            raise BitstreamError(f"segment: {num_models} tables, must be 1 to {most}")
        models = [_read_model(reader) for _ in range(num_models)]
        codes, table_of, predictions = [], [], []
        for i in range(sum(groups)):
            codes.append(reader.u8() - _CODE_BIAS)
            value, runs_over_frames = reader.uvarint(), i >= groups[0]
            if in_context and runs_over_frames:
                predictions.append(_prediction(value))
                continue
            table, by_difference = (value, 0) if in_context else divmod(value, 2)
            if by_difference and (not runs_over_frames or num_frames < 2):
                raise BitstreamError("segment: differences in time of a tensor that has none")
            table_of.append(table)
            if runs_over_frames:
                predictions.append(Prediction(by_difference))
        levels = _read_levels(reader) if in_context else None
        side = cls(global_step, models, codes, table_of, predictions, levels)
        side.check_tables(num_frames)
        return side

    def check_tables(self, num_frames: int) -> None:
        """Check that every table is there, and used, and that decoding in context takes no time.

        Raises:
            BitstreamError: what is wrong.
        """
        used = set(self.table_of)
        if self.levels is not None:
            used |= {self.levels.gain_table, *self.levels.tables}
        if max(used) >= len(self.models):
            raise BitstreamError(f"segment: table {max(used)}, must be under {len(self.models)}")
        if len(used) < len(self.models):
            raise BitstreamError("segment: a table is used by no tensor")
        num_symbols = sum(model.alphabet_size for model in self.models)
        if num_symbols > MAX_TABLE_SYMBOLS:
            raise BitstreamError(
                f"segment: tables of {num_symbols} symbols, must be <= {MAX_TABLE_SYMBOLS}"
            )
        if self.levels is not None and not self.levels.are_quick(self.models, num_frames):
            raise BitstreamError(
                f"segment: {num_frames} frames in context are too many for these tables"
            )


def _prediction(value: int) -> Prediction:
    if value > max(Prediction):
        raise BitstreamError(f"segment: prediction {value}, must be 0 to {max(Prediction)}")
    return Prediction(value)


def _read_levels(reader: ByteReader) -> Levels:
    gain_table, first, num_levels = reader.uvarint(), reader.uvarint(), reader.uvarint()
    if num_levels < 1 or first + num_levels > NUM_LEVELS:
        raise BitstreamError(
            f"segment: {num_levels} levels from {first} on, must be 1 or more, up to {NUM_LEVELS}"
        )
    return Levels(gain_table, first, [reader.uvarint() for _ in range(num_levels)])


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

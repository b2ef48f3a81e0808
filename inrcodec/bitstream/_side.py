"""The side information of a segment: quantiser, tables, and which symbols have which table.

In: its fields. Out: bytes, and back, with a `BitstreamError` for every rule that they break.
`docs/bitstream.md` is the specification.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrcodec.bitstream._varint import ByteReader, uvarint
from inrcodec.entropy import (
    MAX_VALUE_BITS,
    NUM_LEVELS,
    MixtureModel,
    ValueReader,
    ValueWriter,
)
from inrcodec.errors import BitstreamError
from inrcodec.quantization import MAX_GLOBAL_STEP, MAX_SYMBOL, MIN_GLOBAL_STEP, Prediction

_CODE_BIAS = 128
_IN_CONTEXT = 0  # stands where else the number of tables does
_FIRST_OF_VALUES = 4  # version of the format
_NO_DIFFERENCES = "segment: differences in time of a tensor that has none"
_MIXES = (255, 224, 192, 160, 128, 96, 64, 32, 0)  # that a table may have, likely ones first
_FIRST_MODEL = MixtureModel(64, 64, 0, center=0, lowest=-1, highest=1)  # before the first table
# How many bits a value has, by its field: Laplace code, Gaussian code, mix and center of the table.
_FIELDS = {
    name: MixtureModel(*numbers, lowest=0, highest=MAX_VALUE_BITS)
    for name, numbers in {
        "laplace": (198, 18, 128, 4),
        "gaussian": (8, 24, 224, 4),
        "mix": (26, 23, 255, 1),
        "center": (1, 44, 96, 0),
        "below": (11, 26, 160, 6),
        "above": (0, 34, 255, 4),
        "step": (200, 13, 192, 5),
        "table": (8, 25, 255, 3),
        "prediction": (3, 1, 64, 1),
        "level": (0, 22, 224, 2),
    }.items()
}
# Of tables in context, frame by frame: what is more takes longer than a second to decode.
_MAX_FRAMES = 4096
_MAX_VISITS = 1 << 23
MAX_TABLE_SYMBOLS = 1 << 18
"""Most symbols that all tables of a segment may have together."""


class _Form(NamedTuple):
    """What is known of side information before most of it is read."""

    groups: Sequence[int]  # tensors of each rANS payload
    num_models: int
    num_frames: int  # over which the tensors of the second group run, 0 if over none
    in_context: bool


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
            ValueError: the step or a table is none that a file may have.
        """
        if not MIN_GLOBAL_STEP <= self.global_step <= MAX_GLOBAL_STEP:
            raise ValueError(f"step is {self.global_step}, must be 2**-60 to 2**60")
        side = bytearray(struct.pack("<f", self.global_step))
        if self.levels is not None:
            side += uvarint(_IN_CONTEXT)
        side += uvarint(len(self.models))
        if self.levels is not None:
            side += uvarint(self.levels.first) + uvarint(len(self.levels.tables))
        values = self._values()
        return bytes(side) + uvarint(len(values)) + values

    def _values(self) -> bytes:
        """Return what is coded, each value by the table of its field."""
        writer = ValueWriter()
        before = _FIRST_MODEL
        for model in self.models:
            writer.put_signed(model.laplace_code - before.laplace_code, _FIELDS["laplace"])
            writer.put_signed(model.gaussian_code - before.gaussian_code, _FIELDS["gaussian"])
            if model.mix not in _MIXES:
                known = ", ".join(map(str, _MIXES))
                raise ValueError(f"mix is {model.mix}, must be one of {known}")
            writer.put(_MIXES.index(model.mix), _FIELDS["mix"])
            below, above = model.center - model.lowest, model.highest - model.center
            writer.put_signed(model.center, _FIELDS["center"])
            writer.put(below, _FIELDS["below"])
            writer.put_signed(above - below, _FIELDS["above"])
            before = model
        for code, expected in _with_expected(self.step_codes):
            writer.put_signed(code - expected, _FIELDS["step"])
        tables = list(self.table_of)
        if self.levels is not None:
            tables.append(self.levels.gain_table)
        for table, expected in _with_expected(tables):
            writer.put_signed(table - expected, _FIELDS["table"])
        for prediction in self.predictions:
            writer.put(prediction, _FIELDS["prediction"])
        if self.levels is not None:
            for table, expected in zip(self.levels.tables, [0, *self.levels.tables], strict=False):
                writer.put_signed(table - expected, _FIELDS["level"])
        return writer.to_bytes()

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
        read = cls._read_bytes if version < _FIRST_OF_VALUES else cls._read_values
        side = read(reader, global_step, _Form(groups, num_models, num_frames, in_context))
        side.check_tables(num_frames)
        return side

    @classmethod
    def _read_values(cls, reader: ByteReader, global_step: float, form: _Form) -> Side:
        """Read what follows the number of tables."""
        groups, num_models, num_frames, in_context = form
        first, num_levels = (reader.uvarint(), reader.uvarint()) if in_context else (0, 1)
        _check_levels(first, num_levels)
        num_predicted = sum(groups[1:])
        try:
            values = ValueReader(reader.take(reader.uvarint()))
            models = list(_models_of(values, num_models))
            codes = _follow_expected(values, sum(groups), _FIELDS["step"])
            num_tables = groups[0] + 1 if in_context else sum(groups)
            tables = _follow_expected(values, num_tables, _FIELDS["table"])
            most = max(Prediction) if in_context else Prediction.TIME
            predictions = [
                _prediction(values.get(_FIELDS["prediction"]), most) for _ in range(num_predicted)
            ]
            levels = None
            if in_context:
                table, its_tables = 0, []
                for _ in range(num_levels):
                    table += values.get_signed(_FIELDS["level"])
                    its_tables.append(table)
                levels = Levels(tables.pop(), first, its_tables)
            values.end()
        except ValueError as exc:
            raise BitstreamError(f"segment: {exc}") from exc
        for code in codes:
            if not -_CODE_BIAS <= code < _CODE_BIAS:
                raise BitstreamError(f"segment: step code {code}, must be -128 to 127")
        if any(predictions) and num_frames < 2 and not in_context:
            raise BitstreamError(_NO_DIFFERENCES)
        return cls(global_step, models, codes, tables, predictions, levels)

    @classmethod
    def _read_bytes(cls, reader: ByteReader, global_step: float, form: _Form) -> Side:
        """Read what follows the number of tables in versions 1 to 3."""
        groups, num_models, num_frames, in_context = form
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
                raise BitstreamError(_NO_DIFFERENCES)
            table_of.append(table)
            if runs_over_frames:
                predictions.append(Prediction(by_difference))
        levels = _read_levels(reader) if in_context else None
        return cls(global_step, models, codes, table_of, predictions, levels)

    def check_tables(self, num_frames: int) -> None:
        """Check that every table is there, and used, and that decoding in context takes no time.

        Raises:
            BitstreamError: what is wrong.
        """
        used = set(self.table_of)
        if self.levels is not None:
            used |= {self.levels.gain_table, *self.levels.tables}
        if min(used) < 0:
            raise BitstreamError(f"segment: table {min(used)}, must be >= 0")
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


def _prediction(value: int, most: int = max(Prediction)) -> Prediction:
    if value > most:
        raise BitstreamError(f"segment: prediction {value}, must be 0 to {most}")
    return Prediction(value)


def _read_levels(reader: ByteReader) -> Levels:
    gain_table, first, num_levels = reader.uvarint(), reader.uvarint(), reader.uvarint()
    _check_levels(first, num_levels)
    return Levels(gain_table, first, [reader.uvarint() for _ in range(num_levels)])


def _check_levels(first: int, num_levels: int) -> None:
    if num_levels < 1 or first + num_levels > NUM_LEVELS:
        raise BitstreamError(
            f"segment: {num_levels} levels from {first} on, must be 1 or more, up to {NUM_LEVELS}"
        )


def _with_expected(values: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield values with what is expected of them: what the second last one was, 0 at first.

    Weights and biases take turns.
    """
    return zip(values, [0, 0, *values], strict=False)


def _follow_expected(reader: ValueReader, number: int, field: MixtureModel) -> list[int]:
    """Read values of which the differences to `_with_expected` were written."""
    values = [0, 0]
    for _ in range(number):
        values.append(values[-2] + reader.get_signed(field))
    return values[2:]


def _models_of(reader: ValueReader, number: int) -> Iterator[MixtureModel]:
    """Read tables, each of which was written by the one before."""
    before = _FIRST_MODEL
    for _ in range(number):
        laplace_code = before.laplace_code + reader.get_signed(_FIELDS["laplace"])
        gaussian_code = before.gaussian_code + reader.get_signed(_FIELDS["gaussian"])
        mix = reader.get(_FIELDS["mix"])
        if mix >= len(_MIXES):
            raise BitstreamError(f"segment: mix {mix}, must be 0 to {len(_MIXES) - 1}")
        center = reader.get_signed(_FIELDS["center"])
        below = reader.get(_FIELDS["below"])
        above = below + reader.get_signed(_FIELDS["above"])
        before = _model(laplace_code, gaussian_code, _MIXES[mix], center, below, above)
        yield before


def _read_model(reader: ByteReader) -> MixtureModel:
    laplace_code, gaussian_code, mix = reader.take(3)
    center = reader.svarint()
    return _model(laplace_code, gaussian_code, mix, center, reader.uvarint(), reader.uvarint())


def _model(
    laplace_code: int, gaussian_code: int, mix: int, center: int, below: int, above: int
) -> MixtureModel:
    lowest, highest = center - below, center + above
    if max(-lowest, highest) > MAX_SYMBOL + 1:
        raise BitstreamError(f"segment: symbols {lowest} to {highest}, must be +-{MAX_SYMBOL + 1}")
    try:
        return MixtureModel(laplace_code, gaussian_code, mix, center, lowest, highest)
    except ValueError as exc:
        raise BitstreamError(f"segment: {exc}") from exc

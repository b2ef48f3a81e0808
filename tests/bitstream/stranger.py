"""A second decoder of `.inr` files, written from `docs/bitstream.md` alone.

In: the bytes of a file, and for each segment the layout of its tensors, which its network implies.
Out: header, audio, and every integer of every segment. Nothing of inrcodec is imported, and where
a rule of the page is broken it raises ValueError, so that each of the two decoders checks the
other and the page.
"""

from __future__ import annotations

import math
import struct
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import msgpack

SIGNATURE = bytes.fromhex("89494E520D0A1A0A")
VERSIONS = (1, 2, 3, 4)
DICTIONARY = bytes.fromhex(
    """
    a8726f746174696f6e5aa3736172920403a5636f6c6f729401010100a5636f6c6f729406060600a5617564696f01
    a974696d655f626173659201cd03e8a974696d655f626173659201ce00015f90a974696d655f626173659201cd75
    30a366707392cd7530cd03e9a366707392cd5dc0cd03e9a3667073921e01a3667073923c01a3667073923201a366
    7073921801ab626c6f636b5f7769647468aa686561645f7769647468a770655f62617365a970655f6c6576656c73
    ad74696d655f6368616e6e656c73ae646f75626c65645f737461676573aa677269645f7374657073aa6e65696768
    626f757273a667726f757073aa626173655f7374657073ab6c6f63616c5f7374657073ad677269645f6368616e6e
    656c73a56465707468a9657870616e73696f6eaf6d61785f6b65726e656c5f73697a65ac706c61696e5f73746167
    6573ab6b65726e656c5f73697a65aa7374656d5f7769647468b0686561645f6b65726e656c5f73697a65a5626c6f
    636ba56d6f64656ca5656e657276a56d6f64656cab656e6572762d626f6f7374a56d6f64656ca666666e657276a5
    6d6f64656ca668696e657276a56d6f64656ca5686e657276a56d6f64656cab686e6572762d626f6f7374a56d6f64
    656cad686e65727670702d626f6f7374a56d6f64656ca46e657276a56d6f64656caa6e6572762d626f6f7374a56d
    6f64656ca66e6572767070a56d6f64656cab6e65727670702d7265706f86a473697a6592cd0780cd0438a974696d
    655f626173659201cd3200a3667073921901a37074739300cd0258cd0200a56d6f64656ca7686e6572767070a873
    65676d656e74739192cd025889a7737472696465739402020202a86368616e6e656c73951830303030b2656d6265
    6464696e675f6368616e6e656c7304af6d696e5f6b65726e656c5f73697a6503ab686561645f73747269646502ac
    67617465645f73746167657308a66d6f74696f6e01a66d617267696e10ac706c61696e5f73746167657300
    """
)
# Laplace code, Gaussian code, mix and center of the tables of numbers of bits, by field.
FIELDS = {
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
}
OCTAVE = (
    4294967296,
    3938502376,
    3611622603,
    3311872529,
    3037000500,
    2784941738,
    2553802834,
    2341847524,
)
DEFAULTS: dict[str, Any] = {"color": [2, 2, 2, 0], "sar": [1, 1], "rotation": 0, "audio": 0}
REQUIRED = ("size", "time_base", "fps", "pts", "model", "segments")
AUDIO_KEYS = (
    "codec",
    "time_base",
    "sample_rate",
    "channels",
    "layout",
    "bit_rate",
    "language",
    "extradata",
    "packets",
)


# Sizes of the tensors by group, and rows and columns of those of the second.
Layout = tuple[Sequence[Sequence[int]], tuple[int, int]]


@dataclass
class Table:
    """Frequencies of the symbols `lowest`, `lowest + 1`, ..."""

    lowest: int
    frequencies: list[int]
    starts: list[int] = field(init=False)  # cumulative

    def __post_init__(self) -> None:
        self.starts = list(accumulate(self.frequencies, initial=0))


@dataclass
class Segment:
    """The integers of one segment."""

    global_step: float
    tables: list[Table]
    step_codes: list[int]  # one a tensor
    table_of: list[int]  # one a tensor; in context, one a tensor of the first group
    predictions: list[int]  # one a tensor of the second group
    tensors: list[list[int]]  # symbols

    def weights(self) -> list[list[float]]:
        """Return each tensor's weights, float32 values."""
        weights = []
        for code, symbols in zip(self.step_codes, self.tensors, strict=True):
            root = _float32(2 ** ((code % 8) / 8))
            step = _float32(self.global_step * root) * 2.0 ** (code // 8)
            weights.append([_float32(symbol * step) for symbol in symbols])
        return weights


@dataclass
class Decoded:
    """All of a file."""

    header: dict[str, Any]  # with the defaults filled in
    segments: list[Segment]
    audio: list[tuple[dict[str, Any], list[bytes]]]  # the map and the packets' data


def decode_file(data: bytes, layouts: Sequence[Layout]) -> Decoded:
    """Decode a whole file; the layouts are those of its segments."""
    version, header, payloads = read_sections(data)
    count = len(header["segments"])
    _rule(len(layouts) == count, "a layout for each segment")
    segments = [
        read_segment(payload, groups, (num_frames, *grid), version)
        for payload, (groups, grid), (num_frames, _) in zip(
            payloads[:count], layouts, header["segments"], strict=True
        )
    ]
    return Decoded(header, segments, [read_audio(payload) for payload in payloads[count:]])


def read_sections(data: bytes) -> tuple[int, dict[str, Any], list[bytes]]:
    """Return the version, the header, and the payloads of the sections SEGM and AUDI."""
    reader = _Reader(data)
    _rule(reader.take(8) == SIGNATURE, "signature")
    version = reader.u16()
    _rule(version in VERSIONS, "version")
    header = read_header(reader.section(b"HEAD"), version)
    kinds = [b"SEGM"] * len(header["segments"]) + [b"AUDI"] * header["audio"]
    index = reader.section(b"INDX")
    _rule(len(index) == 4 * len(kinds), "INDX has one u32 for each section after it")
    payloads = [reader.section(kind) for kind in kinds]
    _rule(list(struct.unpack(f"<{len(kinds)}I", index)) == [len(p) for p in payloads], "lengths")
    reader.end()
    return version, header, payloads


def inflate(payload: bytes) -> bytes:
    """Return what a payload of HEAD holds from version 4 on."""
    most = min(1 << 24, (1 << 14) + 8 * len(payload))
    unpacker = zlib.decompressobj(-15, zdict=DICTIONARY)
    try:
        data = unpacker.decompress(payload, most + 1)
    except zlib.error as exc:
        raise ValueError(f"DEFLATE: {exc}") from exc
    _rule(len(data) <= most, "at most 2^24, and 2^14 and 8 a byte of the payload")
    _rule(unpacker.eof and not unpacker.unused_data, "one whole stream")
    return data


def read_header(payload: bytes, version: int) -> dict[str, Any]:
    """Return the map of section HEAD, with defaults filled in."""
    fields = _msgpack(payload if version < 4 else inflate(payload))
    _rule(isinstance(fields, dict), "HEAD is a map")
    for key, value in fields.items():
        _rule(key in REQUIRED or key in DEFAULTS, "other keys are errors")
        if key in DEFAULTS:
            _rule(value != DEFAULTS[key], "a key is left out when it has its default")
    for key in REQUIRED:
        _rule(key in fields, f"{key} has no default")
    header = {**DEFAULTS, **fields}
    width, height = _integers(header["size"], 2, 1, 1 << 14)
    _rule(width * height <= 1 << 26, "at most 2^26 pixels")
    for key in ("time_base", "fps", "sar"):
        _integers(header[key], 2, 1, 1 << 31)
    _rule(isinstance(header["model"], str) and 1 <= len(header["model"]) <= 64, "model")
    _integers(header["color"][:3] if isinstance(header["color"], list) else 0, 3, 0, 255)
    _integers(header["color"][3:], 1, 0, 1)
    _integers([header["rotation"]], 1, 0, 359)
    _integers([header["audio"]], 1, 0, 64)
    num_frames = 0
    _rule(isinstance(header["segments"], list) and header["segments"], "segments are a list")
    for segment in header["segments"]:
        _rule(isinstance(segment, list) and len(segment) == 2, "[frames, {hyper-parameters}]")
        _rule(isinstance(segment[1], dict), "hyper-parameters are a map")
        num_frames += _integers(segment[:1], 1, 1, 1 << 20)[0]
    _rule(num_frames <= 1 << 20, "at most 2^20 frames")
    _rule(isinstance(header["pts"], list) and len(header["pts"]) % 2 == 1, "pts: start and runs")
    first, *runs = _integers(header["pts"], len(header["pts"]), -(1 << 62), 1 << 62)
    _rule(all(n >= 1 for n in runs), "counts and durations are positive")
    _rule(sum(runs[::2]) == num_frames, "the counts add up to the number of frames")
    end = first + sum(a * b for a, b in zip(runs[::2], runs[1::2], strict=True))
    _rule(end <= 1 << 62, "time stamps up to 2^62")
    return header


def time_stamps(header: dict[str, Any]) -> list[int]:
    """Return the time stamp of every frame."""
    first, *runs = header["pts"]
    durations = [d for n, d in zip(runs[::2], runs[1::2], strict=True) for _ in range(n)]
    return list(accumulate(durations[:-1], initial=first))


def read_segment(
    payload: bytes, groups: Sequence[Sequence[int]], grid: tuple[int, int, int], version: int
) -> Segment:
    """Decode the payload of a section SEGM, with the sizes of its tensors by group.

    `grid` is frames, rows and columns of the second group's.
    """
    reader = _Reader(payload)
    (global_step,) = struct.unpack("<f", reader.take(4))
    _rule(math.isfinite(global_step) and 2.0**-60 <= global_step <= 2.0**60, "global step")
    num_tensors = sum(len(sizes) for sizes in groups)
    num_tables = reader.uvarint()
    in_context = num_tables == 0 and version > 1 and len(groups) == 2
    if in_context:
        num_tables = reader.uvarint()
    most = len(groups[0]) + 49 if in_context else num_tensors
    _rule(1 <= num_tables <= most, "number of tables")
    read_side = _read_side if version < 4 else _read_values
    tables, step_codes, table_of, predictions, of_gains, first, of_levels = read_side(
        reader, num_tables, (len(groups[0]), num_tensors), grid[0], in_context
    )
    num_table_symbols = sum(len(table.frequencies) for table in tables)
    _rule(num_table_symbols <= 1 << 18, "at most 2^18 symbols in all tables")
    used = {*table_of, *of_levels} | ({of_gains} if in_context else set())
    _rule(used == set(range(num_tables)), "every table is used, and there is no other")
    lengths = [reader.uvarint() for _ in groups]
    payloads = [reader.take(length) for length in lengths]
    reader.end()
    tensors: list[list[int]] = []
    for sizes, coded in zip(groups, payloads, strict=True):
        if in_context and tensors:
            visited = grid[0] * sum(len(tables[t].frequencies) for t in set(of_levels))
            _rule(grid[0] <= 4096 and visited <= 1 << 23, "not too many frames in context")
            by_level = [
                tables[of_levels[min(max(level - first, 0), len(of_levels) - 1)]]
                for level in range(48)
            ]
            rans = _Rans(coded, grid[0] + sum(sizes), num_tables, version)
            tensors += decode_in_context(rans, len(sizes), grid, tables[of_gains], by_level)
        else:
            rans = _Rans(coded, sum(sizes), num_tables, version)
            its = [tables[t] for t in table_of[len(tensors) : len(tensors) + len(sizes)]]
            for size, table in zip(sizes, its, strict=True):
                tensors.append([rans.symbol(table) for _ in range(size)])
        rans.end()
    for tensor, prediction in zip(tensors[len(groups[0]) :], predictions, strict=True):
        if prediction:
            undo_prediction(tensor, grid, prediction)
            _rule(max(map(abs, tensor)) <= 2048, "sums of differences within 2048")
    return Segment(global_step, tables, step_codes, table_of, predictions, tensors)


def decode_in_context(
    rans: _Rans,
    num_channels: int,
    grid: tuple[int, int, int],
    of_gains: Table,
    by_level: Sequence[Table],
) -> list[list[int]]:
    """Decode the residuals of all channels, frame by frame."""
    num_frames, rows, columns = grid
    cells = rows * columns
    gains = [rans.symbol(of_gains) for _ in range(num_frames)]
    _rule(all(abs(gain) <= 63 for gain in gains), "gains within 63")
    channels: list[list[int]] = [[] for _ in range(num_channels)]
    means = [[0] * cells for _ in range(num_channels)]
    for i, gain in enumerate(gains):
        for channel, mean in zip(channels, means, strict=True):
            share = (sum(mean) // cells) >> 4
            frame = []
            for cell in range(cells):
                level = _octaves(mean[cell] + share + 1) + gain
                frame.append(rans.symbol(by_level[min(max(level, 0), 47)]))
            channel += frame
            for cell in range(cells):
                y, x = divmod(cell, columns)
                beside = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                inside = [
                    min(max(v, 0), rows - 1) * columns + min(max(u, 0), columns - 1)
                    for v, u in beside
                ]
                seen = 16 * (4 * abs(frame[cell]) + sum(abs(frame[at]) for at in inside))
                mean[cell] += (seen - mean[cell]) >> 1 if i else seen
    return channels


def _octaves(e: int) -> int:
    """Return twice the logarithm of e, rounded as the page says."""
    return max([b for b in range(1, 48) if e**4 >= 2 ** (2 * b - 1)], default=0)


def undo_prediction(tensor: list[int], grid: tuple[int, int, int], prediction: int) -> None:
    """Turn residuals into symbols, in place."""
    num_frames, rows, columns = grid
    cells = rows * columns
    if prediction == 2:
        for i in range(num_frames):
            for cell in range(cells):
                y, x = divmod(cell, columns)
                at = i * cells + cell
                left, above = tensor[at - 1], tensor[at - columns]
                if y and x:
                    tensor[at] += (left + above) >> 1
                elif x:
                    tensor[at] += left
                elif y:
                    tensor[at] += above
    for at in range(cells, len(tensor)):
        tensor[at] += tensor[at - cells]


Side = tuple[list[Table], list[int], list[int], list[int], int, int, list[int]]


def _read_side(
    reader: _Reader,
    num_tables: int,
    num_of_tensors: tuple[int, int],
    num_frames: int,
    in_context: bool,
) -> Side:
    """Read tables, steps and what has which table, of versions 1 to 3.

    `num_of_tensors` are those of the first group, and of all.
    """
    num_weights, num_tensors = num_of_tensors
    tables = [_read_table(reader) for _ in range(num_tables)]
    step_codes, table_of, predictions = [], [], []
    for i in range(num_tensors):
        step_codes.append(reader.u8() - 128)
        use, is_second = reader.uvarint(), i >= num_weights
        if in_context and is_second:
            _rule(use <= 2, "predictions are 0 to 2")
            predictions.append(use)
            continue
        if not in_context:
            _rule(not use % 2 or (is_second and num_frames > 1), "embeddings differ in time")
            predictions += [use % 2] * is_second
            use //= 2
        table_of.append(use)
    of_gains, first, of_levels = 0, 0, list[int]()
    if in_context:
        of_gains, first = reader.uvarint(), reader.uvarint()
        num_levels = reader.uvarint()
        _rule(num_levels >= 1 and first + num_levels <= 48, "levels are under 48")
        of_levels = [reader.uvarint() for _ in range(num_levels)]
    return tables, step_codes, table_of, predictions, of_gains, first, of_levels


def _read_values(
    reader: _Reader,
    num_tables: int,
    num_of_tensors: tuple[int, int],
    num_frames: int,
    in_context: bool,
) -> Side:
    """The same from version 4 on."""
    num_weights, num_tensors = num_of_tensors
    first, num_levels = (reader.uvarint(), reader.uvarint()) if in_context else (0, 0)
    if in_context:
        _rule(num_levels >= 1 and first + num_levels <= 48, "levels are under 48")
    values = _Values(reader.take(reader.uvarint()))
    tables = []
    laplace = gaussian = 64
    for _ in range(num_tables):
        laplace += values.signed("laplace")
        gaussian += values.signed("gaussian")
        _rule(0 <= laplace <= 255 and 0 <= gaussian <= 255, "codes are 0 to 255")
        share = values.value("mix")
        _rule(share <= 8, "mix is 0 to 8")
        center = values.signed("center")
        below = values.value("below")
        above = below + values.signed("above")
        mix = min(255, 256 - 32 * share)
        tables.append(_table(laplace, gaussian, mix, center, center - below, center + above))
    step_codes = values.series("step", num_tensors)
    _rule(all(-128 <= code <= 127 for code in step_codes), "step codes are -128 to 127")
    table_of = values.series("table", num_weights + 1 if in_context else num_tensors)
    of_gains = table_of.pop() if in_context else 0
    predictions = [values.value("prediction") for _ in range(num_tensors - num_weights)]
    most = 2 if in_context else int(num_frames > 1)
    _rule(all(p <= most for p in predictions), "predictions are 0 to 2, or 0 to 1")
    of_levels = list(accumulate(values.signed("level") for _ in range(num_levels)))
    values.end()
    return tables, step_codes, table_of, predictions, of_gains, first, of_levels


class _Values:
    """Decodes values of side information."""

    def __init__(self, code: bytes) -> None:
        _rule(len(code) >= 4 and len(code) % 2 == 0, "a state, then whole words")
        self.state, *words = struct.unpack(f"<I{len(code) // 2 - 2}H", code)
        _rule(self.state >= 1 << 16, "the state is 2^16 or more")
        self.words = words[::-1]
        self.tables = {name: Table(0, frequencies(*six, 0, 16)) for name, six in FIELDS.items()}

    def leave(self, start: int, size: int) -> None:
        self.state = size * (self.state >> 16) + (self.state & 0xFFFF) - start
        if self.state < 1 << 16:
            _rule(bool(self.words), "values are too short")
            self.state = self.state << 16 | self.words.pop()

    def value(self, name: str) -> int:
        table = self.tables[name]
        num_bits = bisect_right(table.starts, self.state & 0xFFFF) - 1
        self.leave(table.starts[num_bits], table.frequencies[num_bits])
        if num_bits < 2:
            return num_bits
        free = 17 - num_bits
        rest = (self.state & 0xFFFF) >> free
        self.leave(rest << free, 1 << free)
        return (1 << (num_bits - 1)) + rest

    def signed(self, name: str) -> int:
        code = self.value(name)
        return code >> 1 if code & 1 == 0 else -((code + 1) >> 1)

    def series(self, name: str, number: int) -> list[int]:
        values = [0, 0]
        for _ in range(number):
            values.append(values[-2] + self.signed(name))
        return values[2:]

    def end(self) -> None:
        _rule(self.state == 1 << 16 and not self.words, "after the last value nothing is left")


class _Rans:
    """Decodes one payload, symbol by symbol."""

    def __init__(self, payload: bytes, num_symbols: int, num_tables: int, version: int) -> None:
        _rule(num_symbols <= min(1 << 28, (1 << 20) + 16 * len(payload)), "too many symbols")
        self.states: list[int] = []
        self.words: list[int] = []
        self.turn, self.lowest, self.word_bits = 0, 1 << 31, 32
        if num_symbols == 0:
            _rule(payload == b"", "no symbols, no payload")
            return
        s = 0
        if version > 2:
            _rule(payload != b"", "the first byte is s")
            s, payload = payload[0], payload[1:]
            _rule(s or num_symbols < 1 << 20 or num_tables > 64, "many symbols, many states")
        num_states, state_bytes = 1 << s, 8
        if s:
            _rule(
                s <= 15 and num_symbols <= 1 << (13 + s), "s is 1 to 15, up to 2^(13 + s) symbols"
            )
            _rule(num_tables <= 64, "at most 64 tables")
            state_bytes, self.lowest, self.word_bits = 5, 1 << 24, 16
        in_states, word_bytes = num_states * state_bytes, self.word_bits // 8
        num_words, rest = divmod(len(payload) - in_states, word_bytes)
        _rule(num_words >= 0 and rest == 0, "whole states, then whole words")
        for at in range(0, in_states, state_bytes):
            self.states.append(int.from_bytes(payload[at : at + state_bytes], "little"))
            most = self.lowest << self.word_bits
            _rule(self.lowest <= self.states[-1] < most, "a state is 2^24 or more, or 2^31 to 2^63")
        words = payload[in_states:]
        self.words += struct.unpack(f"<{num_words}{'H' if s else 'I'}", words)
        self.words.reverse()

    def symbol(self, table: Table) -> int:
        x = self.states[self.turn]
        c = x & 0xFFFF
        k = bisect_right(table.starts, c) - 1
        x = table.frequencies[k] * (x >> 16) + c - table.starts[k]
        if x < self.lowest:
            _rule(bool(self.words), "payload is too short")
            x = x << self.word_bits | self.words.pop()
        self.states[self.turn] = x
        self.turn = (self.turn + 1) % len(self.states)
        return table.lowest + k

    def end(self) -> None:
        ended = all(x == self.lowest for x in self.states) and not self.words
        _rule(ended, "after the last symbol states are the lowest, and no word is left")


def frequencies(
    laplace: int, gaussian: int, mix: int, center: int, lowest: int, highest: int
) -> list[int]:
    """Return the frequencies of the symbols `lowest` to `highest`."""
    reach = max(center - lowest, highest - center)
    part_l, part_g = [1 << 32], [1 << 32]
    q = (1 << 32) - _decay(laplace)
    for _ in range(reach):
        part_l.append((part_l[-1] * q) >> 32)
    q = r = (1 << 32) - _decay(gaussian)
    for _ in range(reach):
        part_g.append((part_g[-1] * r) >> 32)
        r = (r * ((q * q) >> 32)) >> 32
    distances = [abs(k - center) for k in range(lowest, highest + 1)]
    sum_l = sum(part_l[d] for d in distances)
    sum_g = sum(part_g[d] for d in distances)
    mixed = [
        ((256 - mix) * (part_l[d] << 32)) // sum_l + (mix * (part_g[d] << 32)) // sum_g
        for d in distances
    ]
    total, n = sum(mixed), len(mixed)
    table = [1 + (((1 << 16) - n) * m) // total for m in mixed]
    table[center - lowest] += (1 << 16) - sum(table)
    return table


def read_audio(payload: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the map of a section AUDI and the packets' data."""
    reader = _Reader(payload)
    fields = _msgpack(reader.take(reader.uvarint()))
    _rule(isinstance(fields, dict) and sorted(fields) == sorted(AUDIO_KEYS), "exactly these keys")
    for key in ("codec", "layout", "language"):
        _rule(isinstance(fields[key], str), f"{key} is a text")
    _integers([fields["sample_rate"]], 1, 1, 1 << 31)
    _integers([fields["channels"]], 1, 1, 64)
    _integers([fields["bit_rate"]], 1, 0, 1 << 31)
    _integers(fields["time_base"], 2, 1, 1 << 31)
    _rule(isinstance(fields["extradata"], bytes), "extradata is binary")
    flat = fields["packets"]
    _rule(isinstance(flat, list) and len(flat) % 5 == 0, "five integers a packet")
    _rule(len(flat) <= 5 << 20, "at most 2^20 packets")
    _integers(flat, len(flat), -(1 << 62), 1 << 62)
    pts = list(accumulate(flat[::5]))
    _integers(pts, len(pts), -(1 << 62), 1 << 62)
    dts = [time - lead for time, lead in zip(pts, flat[1::5], strict=True)]
    _integers(dts, len(dts), -(1 << 62), 1 << 62)
    _integers(flat[2::5], len(pts), 0, 1 << 31)
    _integers(flat[4::5], len(pts), 1, 1 << 31)
    _rule(all(key in (0, 1) for key in flat[3::5]), "key flag is 1 or 0")
    packets = [reader.take(size) for size in flat[4::5]]
    reader.end()
    return fields, packets


def _read_table(reader: _Reader) -> Table:
    laplace, gaussian, mix = reader.take(3)
    center = reader.svarint()
    lowest, highest = center - reader.uvarint(), center + reader.uvarint()
    return _table(laplace, gaussian, mix, center, lowest, highest)


def _table(laplace: int, gaussian: int, mix: int, center: int, lowest: int, highest: int) -> Table:
    _rule(lowest <= center <= highest, "the center is one of the symbols")
    _rule(lowest >= -2048 and highest <= 2048, "symbols from -2048 to 2048")
    _rule(2 <= highest - lowest + 1 <= 4096, "2 to 4096 symbols")
    return Table(lowest, frequencies(laplace, gaussian, mix, center, lowest, highest))


def _decay(code: int) -> int:
    return max(1, OCTAVE[code % 8] >> (code // 8))


def _float32(x: float) -> float:
    # A product of two float32 values is exact in a double, so this rounds once.
    rounded: float = struct.unpack("<f", struct.pack("<f", x))[0]
    return rounded


def _msgpack(data: bytes) -> Any:
    def pairs(items: list[tuple[Any, Any]]) -> dict[str, Any]:
        _rule(all(isinstance(key, str) for key, _ in items), "keys of maps are texts")
        _rule(len({key for key, _ in items}) == len(items), "keys of a map differ")
        return dict(items)

    def extension(code: int, data: bytes) -> None:
        raise ValueError("no extension types")

    most = 1 << 18
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            object_pairs_hook=pairs,
            ext_hook=extension,
            max_array_len=most,
            max_map_len=most,
            max_ext_len=0,
        )
    except (msgpack.exceptions.UnpackException, TypeError, RecursionError) as exc:
        raise ValueError(f"msgpack: {exc}") from exc


def _integers(value: Any, count: int, low: int, high: int) -> list[int]:
    _rule(isinstance(value, list) and len(value) == count, f"{count} integers")
    _rule(all(type(n) is int and low <= n <= high for n in value), f"from {low} to {high}")
    return list(value)


def _rule(held: object, words: str) -> None:
    if not held:
        raise ValueError(words)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        _rule(0 <= count <= len(self.data) - self.at, f"{count} bytes are not there")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def uvarint(self) -> int:
        groups = [self.u8()]
        while groups[-1] & 0x80:
            groups.append(self.u8())
        value = sum((byte & 0x7F) << (7 * i) for i, byte in enumerate(groups))
        _rule(value < 1 << 32, "at most 32 bits of value")
        _rule(len(groups) == 1 or groups[-1] != 0, "the shortest form")
        return value

    def svarint(self) -> int:
        code = self.uvarint()
        return code >> 1 if code & 1 == 0 else -((code + 1) >> 1)

    def section(self, kind: bytes) -> bytes:
        start = self.at
        _rule(self.take(4) == kind, f"section {kind!r}")
        payload = self.take(self.u32())
        crc = zlib.crc32(self.data[start : self.at])
        _rule(self.u32() == crc, "CRC-32")
        return payload

    def end(self) -> None:
        _rule(self.at == len(self.data), "bytes left over")

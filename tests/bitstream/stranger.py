"""A second decoder of `.inr` files, written from `docs/bitstream.md` alone.

In: the bytes of a file, and for each segment the sizes of its tensors, which its network implies.
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
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgpack

SIGNATURE = bytes.fromhex("89494E520D0A1A0A")
VERSION = 1
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


@dataclass
class Table:
    """Frequencies of the symbols `lowest`, `lowest + 1`, ..."""

    lowest: int
    frequencies: list[int]


@dataclass
class Segment:
    """The integers of one segment."""

    global_step: float
    tables: list[Table]
    step_codes: list[int]  # one a tensor
    table_of: list[int]  # one a tensor
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


def decode_file(data: bytes, layouts: Sequence[Sequence[Sequence[int]]]) -> Decoded:
    """Decode a whole file; `layouts` has the sizes of the tensors by segment and group."""
    header, payloads = read_sections(data)
    count = len(header["segments"])
    _rule(len(layouts) == count, "a layout for each segment")
    segments = [
        read_segment(payload, groups, num_frames)
        for payload, groups, (num_frames, _) in zip(
            payloads[:count], layouts, header["segments"], strict=True
        )
    ]
    return Decoded(header, segments, [read_audio(payload) for payload in payloads[count:]])


def read_sections(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the header, and the payloads of the sections SEGM and AUDI."""
    reader = _Reader(data)
    _rule(reader.take(8) == SIGNATURE, "signature")
    _rule(reader.u16() == VERSION, "version")
    header = read_header(reader.section(b"HEAD"))
    kinds = [b"SEGM"] * len(header["segments"]) + [b"AUDI"] * header["audio"]
    index = reader.section(b"INDX")
    _rule(len(index) == 4 * len(kinds), "INDX has one u32 for each section after it")
    payloads = [reader.section(kind) for kind in kinds]
    _rule(list(struct.unpack(f"<{len(kinds)}I", index)) == [len(p) for p in payloads], "lengths")
    reader.end()
    return header, payloads


def read_header(payload: bytes) -> dict[str, Any]:
    """Return the map of section HEAD, with defaults filled in."""
    fields = _msgpack(payload)
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


def read_segment(payload: bytes, groups: Sequence[Sequence[int]], num_frames: int) -> Segment:
    """Decode the payload of a section SEGM, with the sizes of its tensors by group."""
    reader = _Reader(payload)
    (global_step,) = struct.unpack("<f", reader.take(4))
    _rule(math.isfinite(global_step) and 2.0**-60 <= global_step <= 2.0**60, "global step")
    num_tensors = sum(len(sizes) for sizes in groups)
    num_tables = reader.uvarint()
    _rule(1 <= num_tables <= num_tensors, "1 to the number of tensors tables")
    tables = [_read_table(reader) for _ in range(num_tables)]
    step_codes, table_of, differences = [], [], []
    for i in range(num_tensors):
        step_codes.append(reader.u8() - 128)
        use = reader.uvarint()
        table_of.append(use // 2)
        differences.append(use % 2)
        _rule(table_of[-1] < num_tables, "no such table")
        _rule(not use % 2 or (i >= len(groups[0]) and num_frames > 1), "embeddings differ in time")
    _rule(set(table_of) == set(range(num_tables)), "every table is used by a tensor")
    lengths = [reader.uvarint() for _ in groups]
    payloads = [reader.take(length) for length in lengths]
    reader.end()
    tensors: list[list[int]] = []
    for sizes, coded in zip(groups, payloads, strict=True):
        used = [tables[t] for t in table_of[len(tensors) : len(tensors) + len(sizes)]]
        tensors += decode_rans(coded, sizes, used)
    for tensor, difference in zip(tensors, differences, strict=True):
        if difference:
            row = len(tensor) // num_frames
            for i in range(row, len(tensor)):
                tensor[i] += tensor[i - row]
            _rule(max(map(abs, tensor)) <= 2048, "sums of differences within 2048")
    return Segment(global_step, tables, step_codes, table_of, tensors)


def decode_rans(payload: bytes, sizes: Sequence[int], tables: Sequence[Table]) -> list[list[int]]:
    """Decode one payload: tensors of these sizes, each with its own table."""
    num_symbols = sum(sizes)
    _rule(num_symbols <= min(1 << 28, (1 << 20) + 256 * len(payload)), "too many symbols")
    if num_symbols == 0:
        _rule(payload == b"", "no symbols, no payload")
        return [[] for _ in sizes]
    _rule(len(payload) % 4 == 0 and len(payload) >= 8, "at least two whole words")
    words = list(struct.unpack(f"<{len(payload) // 4}I", payload))
    words.reverse()
    x = words.pop() | words.pop() << 32
    _rule(1 << 31 <= x < 1 << 63, "the state is 2^31 to under 2^63")
    tensors = []
    for size, table in zip(sizes, tables, strict=True):
        starts = list(accumulate(table.frequencies, initial=0))
        symbols = []
        for _ in range(size):
            c = x & 0xFFFF
            k = bisect_right(starts, c) - 1
            x = table.frequencies[k] * (x >> 16) + c - starts[k]
            if x < 1 << 31:
                _rule(bool(words), "payload is too short")
                x = x << 32 | words.pop()
            symbols.append(table.lowest + k)
        tensors.append(symbols)
    _rule(x == 1 << 31 and not words, "after the last symbol x is 2^31 and no word is left")
    return tensors


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
    _integers([fields[key] for key in ("sample_rate", "channels", "bit_rate")], 3, 0, 1 << 31)
    _integers(fields["time_base"], 2, 1, 1 << 31)
    _rule(isinstance(fields["extradata"], bytes), "extradata is binary")
    flat = fields["packets"]
    _rule(isinstance(flat, list) and len(flat) % 5 == 0, "five integers a packet")
    _integers(flat, len(flat), -(1 << 62), 1 << 62)
    _rule(all(key in (0, 1) for key in flat[3::5]), "key flag is 1 or 0")
    packets = [reader.take(size) for size in flat[4::5]]
    reader.end()
    return fields, packets


def _read_table(reader: _Reader) -> Table:
    laplace, gaussian, mix = reader.take(3)
    center = reader.svarint()
    lowest, highest = center - reader.uvarint(), center + reader.uvarint()
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

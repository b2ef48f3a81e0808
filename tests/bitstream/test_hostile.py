"""Files made to hurt, with CRCs that are right: refused at once, before anything large is made.

All are played in one process that has imported inrcodec and decoded a good file before; it says
for each the processor's seconds and by how much its largest memory grew.
"""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import msgpack
import numpy as np
import pytest

from inrcodec import VideoDecoder
from inrcodec._info import describe
from inrcodec._segment_codec import read_config, tensor_layout
from inrcodec.bitstream import _file, _in_context
from inrcodec.bitstream._deflated import inflate
from inrcodec.bitstream._segment import pack_in_context
from inrcodec.entropy import MixtureModel, rans_compress
from inrcodec.errors import BitstreamError
from inrcodec.quantization import Prediction, QuantizedTensors

Sections = list[tuple[bytes, bytes]]

# The promise is 1 s; half as much again is for a machine that runs other tests meanwhile.
MAX_SECONDS = 1.5
MAX_GROWTH_BYTES = 200 << 20

PLAYER = """
import json, resource, sys, time
from pathlib import Path
import torch
from inrcodec import VideoDecoder

torch.set_num_threads(1)

def play(data):
    with VideoDecoder(data, device="cpu") as video:
        video.audio()
        at = 0
        for segment in video.header.segments[:3]:
            video[at]
            at += segment.num_frames
        for index in (0, -1):
            video[index]

def peak_bytes():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

folder = Path(sys.argv[1])
play((folder / "good.inr").read_bytes())
results = {}
for path in sorted(folder.glob("*.hostile")):
    data = path.read_bytes()
    before, start = peak_bytes(), time.process_time()
    try:
        play(data)
        outcome = "played"
    except BaseException as exc:
        outcome = f"{type(exc).__name__}: {exc}"
    results[path.stem] = [outcome, time.process_time() - start, peak_bytes() - before]
print(json.dumps(results))
"""


def _hyper_parameters(good: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Hyper-parameters by what is hostile in them."""
    stages = len(good["strides"])
    values: dict[str, Any] = {
        "huge": 1 << 62,
        "negative": -1,
        "zero": 0,
        "float": 1e300,
        "NaN": float("nan"),
        "text": "../../etc/passwd",
        "long-text": "x" * 100_000,
        "null": None,
        "map": {"a": 1},
        "nested": [[[[]]]],
        "many": [2] * 100_000,
    }
    names = ("strides", "channels", "embedding_channels", "min_kernel_size", "max_kernel_size")
    found = {f"{n}-{v}": {**good, n: values[v]} for n in names for v in values}
    many = [2] * 14
    found |= {
        "strides-one": {**good, "strides": [1] * stages},
        "strides-huge-each": {**good, "strides": [1 << 20] * stages},
        "strides-fourteen": {**good, "strides": many, "channels": [4] * 15},
        "strides-five": {**good, "strides": [5] * 8, "channels": [2048] * 9},
        "channels-2048": {**good, "channels": [2048] * (stages + 1)},
        "channels-2e31": {**good, "channels": [1 << 31] * (stages + 1)},
        "channels-mixed": {**good, "channels": [*good["channels"][:-1], "12"]},
        "channels-nested": {**good, "channels": [good["channels"]]},
        "kernels-7": {**good, "min_kernel_size": 7, "max_kernel_size": 7},
        "kernels-even": {**good, "min_kernel_size": 2},
        "kernels-turned": {**good, "min_kernel_size": 5, "max_kernel_size": 3},
        "embedding-256": {**good, "embedding_channels": 256},
        "unknown": {**good, "__class__": 1},
        "init": {**good, "height": 64, "width": 64, "num_frames": 4},
        "many-unknown": {**good, **{f"x{i}": i for i in range(100_000)}},
        "missing": {},
    }
    return found


@pytest.fixture(scope="module")
def cases(
    real_file: bytes,
    split_file: Callable[[bytes], Sections],
    join_file: Callable[[Sections], bytes],
) -> dict[str, bytes]:
    """Hostile files by name."""
    sections = split_file(real_file)
    packed = inflate(sections[0][1])
    good: dict[str, Any] = msgpack.unpackb(packed)
    first = good["segments"][0]

    def framed(
        head: bytes, *rest: tuple[bytes, bytes], version: int = 4, code: bytes = b""
    ) -> bytes:
        parts = list(rest) or sections[2:]
        index = struct.pack(f"<{len(parts)}I", *(len(payload) for _, payload in parts))
        if version > 3:
            head = code or _deflated(head, level=0)
        return join_file([(b"HEAD", head), (b"INDX", index), *parts], version=version)

    def header(**changes: Any) -> bytes:
        return framed(msgpack.packb({**good, **changes}))

    def one_segment(
        num_frames: int, payload: bytes = b"", *, version: int | None = None, **changes: Any
    ) -> bytes:
        """With a payload made by hand, whose side information is that of version 3."""
        fields = {**good, "segments": [[num_frames, first[1]]], "pts": [0, num_frames, 1]}
        del fields["audio"]
        segment = payload or sections[2][1]
        version = version or (3 if payload else 4)
        return framed(msgpack.packb({**fields, **changes}), (b"SEGM", segment), version=version)

    sizes, groups = _layout(real_file)
    one_table = struct.pack("<f", 1) + b"\x01" + bytes([0, 0, 0, 0, 0, 1])
    one_table += b"\x80\x00" * len(sizes)
    found = {
        "size-2e31": header(size=[1 << 31, 1 << 31]),
        "size-65535": header(size=[65535, 65535]),
        "size-16384": header(size=[16384, 16384]),
        "size-16384x4096": header(size=[16384, 4096]),
        "size-4096x16384": header(size=[4096, 16384]),
        "size-1x1": header(size=[1, 1]),
        "frames-2e20": one_segment(1 << 20),
        "frames-2e20-large": one_segment(1 << 20, size=[16384, 4096]),
        "frames-2e62": header(pts=[0, 1 << 62, 1], segments=[[1 << 62, first[1]]]),
        "frames-2e63": header(pts=[0, (1 << 64) - 1, 1], segments=[[(1 << 64) - 1, first[1]]]),
        "frames-5": one_segment(5),
        "frames-1": one_segment(1),
        "pts-empty": header(pts=[]),
        "pts-huge": header(pts=[0, 4, 1 << 61]),
        "pts-many": header(pts=[0, *[1, 1] * 100_000]),
        "segments-2e16": header(segments=[[1, first[1]]] * (1 << 16), pts=[0, 1 << 16, 1]),
        "segments-2e16-framed": framed(
            msgpack.packb({**good, "segments": [[1, {}]] * (1 << 16), "pts": [0, 1 << 16, 1]}),
            *[(b"SEGM", b"")] * (1 << 16),
            sections[4],
        ),
        "segments-2e17": header(segments=[[1, {}]] * (1 << 17), pts=[0, 1 << 17, 1]),
        "audio-64": header(audio=64),
        "audio-2e31": header(audio=1 << 31),
        "nested-arrays": framed(b"\x91" * 1_000_000 + b"\0"),
        "nested-maps": framed(b"\x81\xa1a" * 1_000_000 + b"\0"),
        "array-2e32": framed(b"\x81\xa4size\xdd\xff\xff\xff\xff"),
        "map-2e32": framed(b"\xdf\xff\xff\xff\xff"),
        "text-2e32": framed(b"\x81\xdb\xff\xff\xff\xff"),
        "header-of-texts": framed(msgpack.packb(["x"] * (1 << 18))),
        "header-5-MB": framed(msgpack.packb({**good, "model": "x" * (5 << 20)})),
        "tables-2e32": one_segment(2, sections[2][1][:4] + b"\xff\xff\xff\xff\x0f"),
        "payload-2e32": one_segment(2, one_table + b"\xff\xff\xff\xff\x0f\x08"),
        "segment-empty": framed(packed, (b"SEGM", b""), (b"SEGM", b""), sections[4]),
        "packets-many": framed(
            packed, *sections[2:4], (b"AUDI", _audio([0] * 5 * 52_000 + [0, 0, 0, 0, 9]))
        ),
        "packets-2e18": framed(packed, *sections[2:4], (b"AUDI", _audio([0] * (1 << 18)))),
        "packets-huge": framed(packed, *sections[2:4], (b"AUDI", _audio([0, 0, 0, 0, 1 << 31]))),
    }
    for name, value in _long_values().items():
        long = _with(good, name.split("-")[0], value)
        found[f"header-{name}"] = framed(long)
        found[f"header-{name}-3"] = framed(long, version=3)
        # Nearly as much as 148 kB may expand to, and more: empty blocks fill the code up.
        code = _deflated(long[:1_190_000])
        found[f"header-{name}-8"] = framed(
            b"", code=_EMPTY_BLOCK * ((148_000 - len(code)) // 5) + code
        )
        found[f"header-{name}-bomb"] = framed(b"", code=_deflated(long))
    for size, count in ((0, 838_860), (1, 1_048_576)):
        packets = _audio([0, 0, 0, 0, size] * count)
        parts = (*sections[2:4], (b"AUDI", packets))
        found[f"packets-of-{size}-bytes"] = framed(packed, *parts)
    for name, values in _side_values(sections[2][1]).items():
        found[f"values-{name}"] = one_segment(2, values, version=4)
    found["segment-2e24"] = one_segment(2, bytes(1 << 24))
    found["tables-700"] = _many_tables(one_segment)
    found["diagonals-2e13"] = _many_diagonals(one_segment)
    for name in ("../../../etc/passwd", "/dev/zero", "hnerv\0", "os.system", "HNERV", "🎞" * 64):
        found[f"model-{len(found)}"] = header(model=name)
    for name, fields in _hyper_parameters(first[1]).items():
        found[f"fields-{name}"] = one_segment(2, segments=[[2, fields]])
    for interleaved in (False, True):
        payload = _widest_tables(sizes, groups, interleaved=interleaved)
        found[f"widest-tables-{interleaved}"] = one_segment(2, payload)
    # As many frames as make the symbols that 60 kB may just stand for.
    a_frame = sum(sizes[groups[0] :]) // 2
    num_frames = ((1 << 20) + 16 * 60_000) // a_frame
    for log_states in (0, 8, 15):
        payload = _many_symbols(one_table, sizes, groups[0], log_states)
        found[f"symbols-many-{log_states}"] = one_segment(num_frames, payload)
    # Of one state: as many as that may have, and the last one of the widest table each.
    num_frames = ((1 << 20) - 1) // a_frame
    payload = _last_of_the_widest_table(sizes, groups[0], num_frames * a_frame)
    found["symbols-at-the-end"] = one_segment(num_frames, payload)
    # Which they could always be in version 2.
    num_frames = ((1 << 20) + 16 * 150_000) // a_frame
    payload = _many_symbols(one_table, sizes, groups[0], log_states=None, num_bytes=150_000)
    found["symbols-of-version-2"] = _of_version_2(one_segment(num_frames, payload))
    # As many frames, and tables as wide, as the format has in context; and more.
    for frames, width in ((4096, 2048), (4096, 2049), (1 << 20, 2), (2, 4096)):
        for noise in (b"\1", b"\xff"):
            name = f"context-{frames}x{width}-{noise.hex()}"
            found[name] = one_segment(frames, _context_payload(width, sizes, groups[0], noise))
    least = _least_log_states(4096 * (1 + a_frame))
    for log_states in (1, least, least + 3, 15):
        payload = _context_payload(2048, sizes, groups[0], b"\1", log_states)
        found[f"context-states-{log_states}"] = one_segment(4096, payload)
    return found


def test_info_reads_as_strictly_as_a_decoder(cases: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.inr"
    path.write_bytes(cases["diagonals-2e13"])
    for read in (describe, lambda path: VideoDecoder(path)[0]):
        with pytest.raises(BitstreamError, match=r"a\.inr: segment: differences add up to"):
            read(path)


def test_a_segment_longer_than_its_network_has_is_not_read(
    cases: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "a.inr"
    path.write_bytes(cases["segment-2e24"])
    with mock.patch.object(_file.InrFile, "_section", side_effect=AssertionError):
        for read in (describe, lambda path: VideoDecoder(path)[0]):
            with pytest.raises(BitstreamError, match="segment 0 has 16777216 bytes, must have <="):
                read(path)


def _side_values(segment: bytes) -> dict[str, bytes]:
    """Segments of version 4 whose values are none, too long, or of tables that are none."""
    at = 5  # after the step and the number of tables
    length = segment[at] if segment[at] < 128 else segment[at] & 127 | segment[at + 1] << 7
    start = at + (1 if segment[at] < 128 else 2)
    front, rest = segment[:at], segment[start + length :]
    values = segment[start : start + length]

    def with_values(code: bytes, claimed: int | None = None) -> bytes:
        return front + _uvarint(len(code) if claimed is None else claimed) + code + rest

    return {
        "none": with_values(b""),
        "state": with_values(b"\0\0\1\0"),
        "zeros": with_values(bytes(length)),
        "ones": with_values(b"\xff" * length),
        "longer": with_values(values + b"\0\0"),
        "shorter": with_values(values[:-2]),
        "odd": with_values(values + b"\0"),
        "2e32": with_values(values, claimed=(1 << 32) - 1),
        "1-MB": with_values(values + bytes(1 << 16)),
        **{f"noise-{i}": with_values(random.Random(i).randbytes(length)) for i in range(40)},
    }


def _with(good: dict[str, Any], key: str, value: bytes) -> bytes:
    """A header with this msgpack as the last value of its map."""
    fields = {name: good[name] for name in good if name != key}
    packed: bytes = msgpack.packb({**fields, key: None})
    return packed[:-1] + value


def _long_values() -> dict[str, bytes]:
    """Values of as many bytes as a header has room for, and of more in memory."""
    texts = [b"\xa2" + f"{i:02x}".encode() for i in range(256)]
    keys = struct.pack(">BI", 0xDF, 1_700_000)
    keys += b"".join(b"\xa6%06x\0" % i for i in range(1_700_000))
    array = b"\xdc\x01\x00"  # of 256 items
    full_map = b"\xde\x01\x00" + b"".join(text + b"\0" for text in texts)
    nested = struct.pack(">BI", 0xDD, 1 << 21) + b"\xe0" * ((1 << 21) - 1)
    many = struct.pack(">BI", 0xDD, 65_536)
    return {
        "pts-integers": struct.pack(">BI", 0xDD, 3_300_000) + b"\xce\xff\xff\xff\xff" * 3_300_000,
        "pts-runs": struct.pack(">BI", 0xDD, (1 << 21) + 1)
        + b"\xce\xff\xff\xff\xff" * ((1 << 21) + 1),
        "pts-map": keys,
        "pts-nested": nested * 7 + b"\0",
        "segments-integers": many + (array + b"\xe0" * 256) * 64_000,
        "segments-texts": many + (array + b"".join(texts)) * 20_000,
        "segments-maps": many + full_map * 16_000,
    }


def _of_version_2(data: bytes) -> bytes:
    return data[:8] + b"\x02\x00" + data[10:]


def _many_tables(one_segment: Callable[..., bytes]) -> bytes:
    """A small file of hundreds of tensors, each with the widest table."""
    fields = {
        "strides": [2] * 8,
        "channels": [1] * 9,
        "embedding_channels": 256,
        "time_channels": 1,
        "doubled_stages": 8,
        "pe_levels": 1,
    }
    config = read_config("hnervpp-boost", fields, height=256, width=256, num_frames=1)
    _, sizes, groups = tensor_layout(config)
    table = bytes([255, 255, 128, 0]) + b"\x80\x10" + b"\xff\x0f"
    count = len(sizes)
    assert count > 500
    side = struct.pack("<f", 1) + _uvarint(count) + table * count
    side += b"".join(b"\x80" + _uvarint(2 * i) for i in range(count))
    payload = b"\0" + b"\1" * 8
    side += bytes([len(payload)]) * len(groups) + payload * len(groups)
    changes = {"model": "hnervpp-boost", "size": [256, 256], "segments": [[1, fields]]}
    return one_segment(1, side, **changes)


def _many_diagonals(one_segment: Callable[..., bytes]) -> bytes:
    """A frame of one row of cells, every channel predicted in space, adding up to too much."""
    fields = {"strides": [2], "channels": [1, 1], "embedding_channels": 127}
    config = read_config("hnerv", fields, height=1, width=16384, num_frames=1)
    _, sizes, groups = tensor_layout(config)
    grid = (1, 1, 8192)
    ones = Prediction.TIME_AND_SPACE, np.ones(grid, np.int32)
    quantized = QuantizedTensors(1.0, [0] * len(sizes), [np.zeros(n, np.int32) for n in sizes])
    with mock.patch.object(_in_context, "best_residuals", return_value=ones):
        payload = pack_in_context(quantized, groups, grid)
    assert payload is not None
    assert len(payload) < 2000
    changes = {"model": "hnerv", "size": [16384, 1], "segments": [[1, fields]]}
    return one_segment(1, payload, version=4, **changes)


_EMPTY_BLOCK = b"\0\0\0\xff\xff"  # of DEFLATE, stored, not the last one


def _deflated(data: bytes, *, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _audio(packets: list[int]) -> bytes:
    fields = {
        "codec": "aac",
        "time_base": [1, 48000],
        "sample_rate": 48000,
        "channels": 2,
        "layout": "",
        "bit_rate": 0,
        "language": "",
        "extradata": b"",
        "packets": packets,
    }
    packed = msgpack.packb(fields)
    return _uvarint(len(packed)) + packed


def _layout(real_file: bytes) -> tuple[list[int], list[int]]:
    """Sizes of the first segment's tensors, and how many each payload holds."""
    with VideoDecoder(real_file, device="cpu") as decoder:
        config = decoder.segment_config(0)
    _, sizes, groups = tensor_layout(config)
    return sizes, groups


def _least_log_states(num_symbols: int) -> int:
    """The fewest interleaved states that the format admits for so many symbols."""
    return max(1, (num_symbols - 1).bit_length() - 13)


def _widest_tables(sizes: list[int], groups: list[int], *, interleaved: bool) -> bytes:
    """A table of 4096 symbols for each tensor, and payloads that are no code of anything."""
    table = bytes([255, 255, 128, 0]) + b"\x80\x10" + b"\xff\x0f"
    use = b"".join(bytes([128, i]) for i in range(len(sizes)))
    side = struct.pack("<f", 1) + bytes([len(sizes)]) + table * len(sizes) + use
    log_states = _least_log_states(sum(sizes)) if interleaved else 0
    payload = bytes([log_states]) + b"\1" * (5 << log_states if interleaved else 8)
    assert len(payload) < 128
    return side + bytes([len(payload)]) * len(groups) + payload * len(groups)


def _last_of_the_widest_table(sizes: list[int], num_parameters: int, num_symbols: int) -> bytes:
    """Parameters that are all zero, and embeddings all so large that a table ends with them."""
    table = MixtureModel(0, 0, 0, center=0, lowest=0, highest=1)
    widest = MixtureModel(0, 0, 0, center=2047, lowest=-2048, highest=2047)
    side = struct.pack("<f", 1) + b"\x02"
    side += bytes([0, 0, 0, 0, 0, 1]) + bytes(3) + _uvarint(2 * 2047) + _uvarint(4095) + b"\0"
    side += b"\x80\x00" * num_parameters + b"\x80\x02" * (len(sizes) - num_parameters)
    payloads = []
    for model, count in ((table, sum(sizes[:num_parameters])), (widest, num_symbols)):
        symbols = np.full(count, model.center, np.int32)
        payloads.append(b"\0" + rans_compress(symbols, np.zeros(count, np.int32), [model]))
    return side + b"".join(_uvarint(len(each)) for each in payloads) + b"".join(payloads)


def _many_symbols(
    one_table: bytes,
    sizes: list[int],
    num_parameters: int,
    log_states: int | None,
    num_bytes: int = 60_000,
) -> bytes:
    """Parameters that are all zero, and 60 kB of embeddings that nearly nothing is stored of."""
    table = MixtureModel(0, 0, 0, center=0, lowest=0, highest=1)
    count = sum(sizes[:num_parameters])
    zeros = rans_compress(np.zeros(count, np.int32), np.zeros(count, np.int32), [table])
    states = b""
    if log_states is not None:
        zeros, states = b"\0" + zeros, bytes([log_states])
    noise = states + b"\1" * num_bytes
    lengths = _uvarint(len(zeros)) + _uvarint(len(noise))
    return one_table + lengths + zeros + noise


def _context_payload(
    width: int, sizes: list[int], num_parameters: int, noise: bytes, log_states: int = 0
) -> bytes:
    """Parameters that are all zero, and 60 kB of embeddings with one wide table in context."""
    zero = MixtureModel(0, 0, 0, center=0, lowest=0, highest=1)
    count = sum(sizes[:num_parameters])
    zeros = b"\0" + rans_compress(np.zeros(count, np.int32), np.zeros(count, np.int32), [zero])
    below, above = width // 2, (width - 1) // 2
    wide = bytes([0, 0, 0, 0]) + b"".join(bytes([128 | n & 127, n >> 7]) for n in (below, above))
    if width < 256:
        wide = bytes([0, 0, 0, 0, below, above])
    side = struct.pack("<f", 1) + b"\x00\x02" + bytes([0, 0, 0, 0, 0, 1]) + wide
    side += b"\x80\x00" * num_parameters + b"\x80\x01" * (len(sizes) - num_parameters)
    side += b"\x00" + b"\x00\x01\x01"  # gains by the first table, all levels by the second
    second = bytes([log_states]) + noise * 60_000
    return side + _uvarint(len(zeros)) + _uvarint(len(second)) + zeros + second


@pytest.fixture(scope="module")
def results(
    cases: dict[str, bytes], real_file: bytes, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, float, int]]:
    """Outcome, seconds and bytes of growth by name."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "good.inr").write_bytes(real_file)
    for name, data in cases.items():
        (folder / f"{name}.hostile").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAYER, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, tuple[str, float, int]] = json.loads(done.stdout)
    assert set(found) == set(cases)
    return found


def test_all_are_refused(results: dict[str, tuple[str, float, int]]) -> None:
    other = {
        name: outcome
        for name, (outcome, _, _) in results.items()
        if not outcome.startswith("BitstreamError: ")
    }
    assert other == {}
    assert all(len(outcome) < 500 for outcome, _, _ in results.values())


def test_states_are_as_the_format_admits_them(results: dict[str, tuple[str, float, int]]) -> None:
    """But for those that are not: what else is wrong is found by decoding."""
    names = ("widest-tables", "context-states", "symbols-")
    outcomes = {n: outcome for n, (outcome, _, _) in results.items() if n.startswith(names)}
    refused = {name for name, outcome in outcomes.items() if " states" in outcome}
    assert refused == {
        "context-states-1",
        "context-states-15",
        "symbols-many-0",
        "symbols-many-15",
    }


def test_walks_through_tables_are_bounded(results: dict[str, tuple[str, float, int]]) -> None:
    outcome, _, _ = results["symbols-at-the-end"]
    assert "tables are too wide for so many symbols" in outcome


def test_none_takes_a_second(results: dict[str, tuple[str, float, int]]) -> None:
    slow = {name: seconds for name, (_, seconds, _) in results.items() if seconds >= MAX_SECONDS}
    assert slow == {}


def test_none_takes_200_mb(results: dict[str, tuple[str, float, int]]) -> None:
    large = {name: grown for name, (_, _, grown) in results.items() if grown >= MAX_GROWTH_BYTES}
    assert large == {}
    assert sum(grown for _, _, grown in results.values()) < MAX_GROWTH_BYTES

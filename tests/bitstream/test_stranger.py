"""inrcodec's reader and an independent one read the same integers from the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from inrcodec.bitstream import (
    VERSION,
    Header,
    InrFile,
    SegmentInfo,
    TimeStamps,
    _payload,
    file_bytes,
    pack_audio,
    pack_segment,
    unpack_audio,
    unpack_segment,
)
from inrcodec.bitstream._deflated import DICTIONARY, deflate, inflate
from inrcodec.bitstream._segment import pack_in_context
from inrcodec.entropy import MixtureModel
from inrcodec.errors import BitstreamError
from inrcodec.quantization import QuantizedTensors
from inrcodec.video import AudioStream

SIZES = [[40, 7, 300], [64]]
GRID = (4, 2, 8)
LAYOUT = (SIZES, GRID[1:])
MODELS = ("hnerv", "hnervpp", "nerv", "nervpp")
Layout = tuple[list[list[int]], tuple[int, int]]


def _symbols(seed: int) -> QuantizedTensors:
    rng = np.random.default_rng(seed)
    spreads = (0.0, 1.5, 400.0, 20.0)
    sizes = [size for group in SIZES for size in group]
    tensors = [
        np.clip(np.rint(rng.laplace(seed, spread, size)), -2047, 2047).astype(np.int32)
        for spread, size in zip(spreads, sizes, strict=True)
    ]
    return QuantizedTensors(float(np.float32(0.013)), [-128, -9, 0, 127], tensors)


def _in_context(seed: int) -> bytes:
    packed = pack_in_context(_symbols(seed), [3, 1], GRID)
    assert packed is not None
    return packed


def _header(**changes: object) -> Header:
    fields: dict[str, object] = {
        "width": 64,
        "height": 48,
        "time_base": Fraction(1001, 30000),
        "average_fps": Fraction(30000, 1001),
        "timestamps": TimeStamps(-5, ((5, 1), (3, 4))),
        "model": "any",
        "segments": (SegmentInfo(4, {"a": [1, 2], "b": 0.5}), SegmentInfo(4, {"c": "text"})),
        "color": (9, 16, 9, 1),
        "sample_aspect_ratio": Fraction(4, 3),
        "rotation": 90,
        "num_audio_streams": 1,
    }
    return Header(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture(params=[0, 1, 4])
def synthetic(
    audio_stream: AudioStream, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> bytes:
    monkeypatch.setattr(_payload, "suitable_log_states", lambda *_: request.param)
    segments = [pack_segment(_symbols(0), [3, 1], grid=GRID), _in_context(1)]
    return file_bytes(_header(), segments, [pack_audio(audio_stream)])


def _assert_same_segment(ours: QuantizedTensors, theirs: object) -> None:
    assert theirs.global_step == ours.global_step  # type: ignore[attr-defined]
    assert theirs.step_codes == ours.step_codes  # type: ignore[attr-defined]
    assert theirs.tensors == [s.tolist() for s in ours.symbols]  # type: ignore[attr-defined]
    weights = theirs.weights()  # type: ignore[attr-defined]
    assert weights == [w.tolist() for w in ours.weights()]


def _assert_same_header(header: Header, theirs: dict[str, object], stranger: ModuleType) -> None:
    assert theirs["size"] == [header.width, header.height]
    assert Fraction(*theirs["time_base"]) == header.time_base  # type: ignore[misc]
    assert Fraction(*theirs["fps"]) == header.average_fps  # type: ignore[misc]
    assert Fraction(*theirs["sar"]) == header.sample_aspect_ratio  # type: ignore[misc]
    assert stranger.time_stamps(theirs) == header.timestamps.pts().tolist()
    assert theirs["model"] == header.model
    assert theirs["segments"] == [[s.num_frames, dict(s.model_fields)] for s in header.segments]
    assert theirs["color"] == list(header.color)
    assert theirs["rotation"] == header.rotation
    assert theirs["audio"] == header.num_audio_streams


def test_synthetic_file(synthetic: bytes, stranger: ModuleType, audio_stream: AudioStream) -> None:
    theirs = stranger.decode_file(synthetic, [LAYOUT, LAYOUT])
    with InrFile(synthetic) as file:
        _assert_same_header(file.header, theirs.header, stranger)
        assert file.header == _header()
        for i, segment in enumerate(theirs.segments):
            ours = unpack_segment(file.segment(i), [40, 7, 300, 64], [3, 1], grid=GRID)
            _assert_same_segment(ours, segment)
            assert segment.tensors == [s.tolist() for s in _symbols(i).symbols]
        assert unpack_audio(file.audio(0)) == audio_stream
    ((fields, packets),) = theirs.audio
    assert fields["extradata"] == audio_stream.extradata
    assert packets == [packet.data for packet in audio_stream.packets]
    assert fields["packets"][:5] == [-1024, 0, 1024, 1, 7]
    assert fields["packets"][5:10] == [1024, 512, 1024, 0, 8]


@pytest.mark.parametrize("model", MODELS)
def test_encoded_file(
    model: str,
    encoded: Callable[[str], bytes],
    layout_of: Callable[[Header], list[Layout]],
    stranger: ModuleType,
) -> None:
    data = encoded(model)
    with InrFile(data) as file:
        header = file.header
        layouts = layout_of(header)
        theirs = stranger.decode_file(data, layouts)
        _assert_same_header(header, theirs.header, stranger)
        assert header.model == model
        assert len(theirs.segments) == 2
        for i, (segment, layout) in enumerate(zip(theirs.segments, layouts, strict=True)):
            groups, grid = layout
            ours = unpack_segment(
                file.segment(i),
                [size for group in groups for size in group],
                [len(group) for group in groups],
                grid=(header.segments[i].num_frames, *grid),
            )
            _assert_same_segment(ours, segment)
            assert any(any(symbols) for symbols in segment.tensors)


def test_every_table_is_the_same(stranger: ModuleType) -> None:
    rng = random.Random(5)
    for _ in range(150):
        lowest = rng.randint(-2048, 2047)
        highest = rng.randint(lowest + 1, min(2048, lowest + rng.choice((3, 60, 4095))))
        codes = [rng.choice((0, 255, rng.randint(0, 255))) for _ in range(3)]
        six = (*codes, rng.randint(lowest, highest), lowest, highest)
        assert stranger.frequencies(*six) == MixtureModel(*six).frequencies(), six


@pytest.mark.parametrize("log_states", [0, 2])
@pytest.mark.parametrize("is_in_context", [False, True])
def test_both_judge_damaged_segments_alike(
    is_in_context: bool, log_states: int, stranger: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_payload, "suitable_log_states", lambda *_: log_states)
    good = _in_context(1) if is_in_context else pack_segment(_symbols(1), [3, 1])
    grid = GRID if is_in_context else None
    rng = random.Random(11)
    accepted = 0
    for _ in range(600):
        data = bytearray(good)
        # Steps, tables and lengths are the first bytes; most damage to symbols is refused.
        data[rng.randrange(len(data) if rng.random() < 0.3 else 50)] ^= 1 << rng.randrange(8)
        try:
            ours = unpack_segment(bytes(data), [40, 7, 300, 64], [3, 1], grid=grid)
        except BitstreamError:
            with pytest.raises(ValueError, match=r"\w"):
                stranger.read_segment(bytes(data), SIZES, grid or (1, 1, 64), VERSION)
        else:
            accepted += 1
            theirs = stranger.read_segment(bytes(data), SIZES, grid or (1, 1, 64), VERSION)
            _assert_same_segment(ours, theirs)
    assert 0 < accepted < 500


@pytest.mark.parametrize("is_deflated", [False, True])
def test_both_judge_damaged_headers_alike(is_deflated: bool, stranger: ModuleType) -> None:
    good = _header().to_bytes() if is_deflated else inflate(_header().to_bytes())
    rng = random.Random(13)
    accepted = 0
    for _ in range(1500):
        data = bytearray(good)
        data[rng.randrange(len(data))] = rng.randrange(256)
        code = bytes(data) if is_deflated else deflate(bytes(data))
        try:
            ours = Header.from_bytes(code)
        except BitstreamError:
            with pytest.raises(ValueError, match=r"\w"):
                stranger.read_header(code, VERSION)
        else:
            accepted += 1
            _assert_same_header(ours, stranger.read_header(code, VERSION), stranger)
    assert 0 < accepted < 1200


def test_both_begin_with_the_same_words(stranger: ModuleType) -> None:
    assert stranger.DICTIONARY == DICTIONARY
    page = (Path(__file__).parents[2] / "docs" / "bitstream.md").read_text()
    (block,) = (part for part in page.split("```") if part.startswith("hex\n"))
    assert bytes.fromhex(block.removeprefix("hex")) == DICTIONARY


def test_stranger_refuses_what_the_page_forbids(synthetic: bytes, stranger: ModuleType) -> None:
    for at in range(0, len(synthetic), 7):
        damaged = bytearray(synthetic)
        damaged[at] ^= 0x10
        with pytest.raises(ValueError, match=r"\w"):
            stranger.decode_file(bytes(damaged), [LAYOUT, LAYOUT])
    for length in range(0, len(synthetic), 11):
        with pytest.raises(ValueError, match=r"\w"):
            stranger.decode_file(synthetic[:length], [LAYOUT, LAYOUT])

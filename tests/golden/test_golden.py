"""Files of every released version decode to the same integers, and to the same pictures.

`python scripts/make_golden.py` makes the files of the current version, once.
"""

from __future__ import annotations

import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inrcodec import VideoDecoder, models
from inrcodec._segment_codec import read_segment
from inrcodec.bitstream import VERSION, InrFile, _payload
from inrcodec.entropy import InterleavedReader

HERE = Path(__file__).parent
RECORDS: dict[str, dict[str, Any]] = {
    name: record
    for path in sorted(HERE.glob("v*.json"))
    for name, record in json.loads(path.read_text()).items()
}


@pytest.fixture(params=RECORDS)
def golden(request: pytest.FixtureRequest) -> tuple[Path, dict[str, Any]]:
    """A file and what it must hold."""
    return HERE / request.param, RECORDS[request.param]


Golden = tuple[Path, dict[str, Any]]


def test_every_network_has_a_file_of_every_version_since_its_first() -> None:
    found: set[str] = set()
    for version in range(1, VERSION + 1):
        before = found
        found = {name for name in models.names() if f"v{version}-{name}.inr" in RECORDS}
        assert found >= before
        assert found
    assert found == set(models.names())
    assert {path.name for path in HERE.glob("*.inr")} == set(RECORDS)


def test_files_are_small_and_unchanged(golden: Golden) -> None:
    path, record = golden
    data = path.read_bytes()
    assert len(data) < 20_000
    assert hashlib.sha256(data).hexdigest() == record["file_sha256"]


def test_header(golden: Golden) -> None:
    path, record = golden
    expected = record["header"]
    with VideoDecoder(path, device="cpu") as video:
        header = video.header
        first, *runs = expected["pts"]
        assert [header.width, header.height] == expected["size"]
        assert header.time_base == Fraction(*expected["time_base"])
        assert header.average_fps == Fraction(*expected["fps"])
        assert header.timestamps.first == first
        assert [n for run in header.timestamps.runs for n in run] == runs
        assert header.model == expected["model"]
        segments = [[s.num_frames, dict(s.model_fields)] for s in header.segments]
        assert segments == expected["segments"]
        assert list(header.color) == expected["color"]
        assert header.sample_aspect_ratio == Fraction(*expected["sar"])
        assert header.rotation == expected["rotation"]
        packets = [b"".join(p.data for p in stream.packets) for stream in video.audio()]
        assert len(packets) == expected["audio"]
        assert [hashlib.sha256(data).hexdigest() for data in packets] == record["audio_sha256"]


def test_symbols(golden: Golden) -> None:
    path, record = golden
    with VideoDecoder(path, device="cpu") as video, InrFile(path) as file:
        digests = []
        for i in range(len(video.header.segments)):
            config, data = video.segment_config(i), file.segment(i)
            quantized = read_segment(config, data, version=file.version)
            symbols = np.concatenate(quantized.symbols).astype("<i4")
            digests.append(hashlib.sha256(symbols.tobytes()).hexdigest())
    assert digests == record["symbols_sha256"]


def test_frames(golden: Golden) -> None:
    path, record = golden
    with VideoDecoder(path, device="cpu") as video:
        frames = video[:].permute(0, 2, 3, 1).numpy()
    assert len(frames) == len(record["mean_rgb"])
    np.testing.assert_allclose(frames.mean((1, 2)), record["mean_rgb"], atol=0.5)
    expected = np.asarray(Image.open(path.with_suffix(".png")))
    assert expected.std() > 10  # a picture, not a grey field that any network gives
    decoded = frames[record["frame"]].astype(int)
    np.testing.assert_allclose(decoded, expected.astype(int), rtol=0, atol=1)


def test_one_file_has_every_optional_field() -> None:
    header = RECORDS["v1-hnervpp.inr"]["header"]
    assert len(header["segments"]) == 2
    assert len(header["pts"]) > 3
    assert (header["color"], header["sar"], header["rotation"]) == ([9, 16, 9, 1], [4, 3], 90)
    assert header["audio"] == 1


def test_one_file_has_a_head_that_upsamples() -> None:
    ((_, fields),) = RECORDS["v1-hnervpp-head.inr"]["header"]["segments"]
    assert fields["head_stride"] > 1


def test_one_file_has_gates() -> None:
    ((_, fields),) = RECORDS["v1-hnervpp-gates.inr"]["header"]["segments"]
    assert fields["gated_stages"] > 0


def test_one_file_follows_motion() -> None:
    ((num_frames, fields),) = RECORDS["v2-hnervpp-motion.inr"]["header"]["segments"]
    assert fields["motion"] == 1
    assert num_frames == 12


def test_some_files_are_coded_in_context() -> None:
    """Where the number of tables would be, they have a 0."""
    in_context = set()
    for name in RECORDS:
        with InrFile(HERE / name) as file:
            if file.segment(0)[4] == 0:
                in_context.add(name)
    assert {"v2-hnerv.inr", "v2-hnervpp-motion.inr"} <= in_context
    assert not any(name.startswith("v1-") for name in in_context)


def test_one_file_has_interleaved_states(monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = HERE / "v3-hnervpp-states.inr", []

    class Spy(InterleavedReader):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            opened.append(kwargs["num_states"])
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(_payload, "InterleavedReader", Spy)
    with VideoDecoder(path, device="cpu") as video, InrFile(path) as file:
        read_segment(video.segment_config(0), file.segment(0), version=file.version)
    assert opened == [8, 8]

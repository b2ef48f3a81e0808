"""Small real files, and files taken apart and put together without inrcodec's own framing."""

from __future__ import annotations

import importlib.util
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import inrcodec
from inrcodec._segment_codec import embedding_grid, read_config, read_segment, tensor_layout
from inrcodec.bitstream import Header, InrFile, file_bytes, pack_audio
from inrcodec.bitstream._segment import pack_in_context
from inrcodec.video import AudioPacket, AudioStream

Sections = list[tuple[bytes, bytes]]
Layout = tuple[list[list[int]], tuple[int, int]]


def _load_stranger() -> ModuleType:
    path = Path(__file__).with_name("stranger.py")
    spec = importlib.util.spec_from_file_location("inr_stranger", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def stranger() -> ModuleType:
    """The independent decoder."""
    return _load_stranger()


@pytest.fixture(scope="session")
def split_file() -> Callable[[bytes], Sections]:
    """(type, payload) of every section of a good file."""

    def split(data: bytes) -> Sections:
        sections, at = [], 10
        while at < len(data):
            kind, length = struct.unpack_from("<4sI", data, at)
            sections.append((kind, data[at + 8 : at + 8 + length]))
            at += 12 + length
        return sections

    return split


@pytest.fixture(scope="session")
def join_file() -> Callable[..., bytes]:
    """A file of these sections, with CRCs that are right and an index left as it is given."""

    def join(sections: Sections, *, version: int = 4) -> bytes:
        parts = [b"\x89INR\r\n\x1a\n" + struct.pack("<H", version)]
        for kind, payload in sections:
            body = kind + struct.pack("<I", len(payload)) + payload
            parts += [body, struct.pack("<I", zlib.crc32(body))]
        return b"".join(parts)

    return join


@pytest.fixture(scope="session")
def audio_stream() -> AudioStream:
    """Five packets, the first two before zero, one out of decoding order."""
    times = [(-1024, -1024), (0, -512), (1024, 1024), (2048, 2048), (3072, 3072)]
    packets = [
        AudioPacket(pts, dts, 1024, i % 2 == 0, bytes(range(i, 2 * i + 7)))
        for i, (pts, dts) in enumerate(times)
    ]
    return AudioStream(
        codec="aac",
        time_base=Fraction(1, 48000),
        sample_rate=48000,
        channels=2,
        layout="stereo",
        bit_rate=128000,
        extradata=b"\x11\x90",
        language="deu",
        packets=packets,
    )


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four 64x64 PNG images of a moving gradient."""
    folder = tmp_path_factory.mktemp("clip")
    y, x = np.mgrid[:64, :64]
    for i in range(4):
        planes = [(3 * x + 8 * i) % 256, 3 * y, (2 * (x + y) + 5 * i) % 256]
        Image.fromarray(np.stack(planes, -1).astype(np.uint8)).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="session")
def encoded(tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """The file that a fit of one epoch makes of the tiny clip, by the network's name."""
    folder = tmp_path_factory.mktemp("encoded")

    def encode(model: str) -> bytes:
        path = folder / f"{model}.inr"
        if not path.exists():
            # For layers as small as these, more threads only wait for each other.
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            inrcodec.encode(
                tiny_clip, path, model=model, bpp=2, epochs=1, segment_frames=2, device="cpu"
            )
            torch.set_num_threads(threads)
        return path.read_bytes()

    return encode


@pytest.fixture(scope="session")
def real_file(encoded: Callable[[str], bytes], audio_stream: AudioStream) -> bytes:
    """A file that inrcodec has made, of two segments and one audio stream; about 4 kB.

    So few embeddings would take fewer bytes without context: that of the second is forced upon it.
    """
    data = encoded("hnerv")
    with InrFile(data) as file, inrcodec.VideoDecoder(data, device="cpu") as decoder:
        header = replace(file.header, num_audio_streams=1)
        segments = [file.segment(i) for i in range(len(header.segments))]
        config = decoder.segment_config(1)
        _, _, groups = tensor_layout(config)
        grid = embedding_grid(config)
        assert grid is not None
        quantized = read_segment(config, segments[1], version=file.version)
    in_context = pack_in_context(quantized, groups, grid)
    assert in_context is not None
    return file_bytes(header, [segments[0], in_context], [pack_audio(audio_stream)])


@pytest.fixture(scope="session")
def layout_of() -> Callable[[Header], list[Layout]]:
    """By segment, as the header's network implies them: sizes of the tensors by group, and rows and
    columns of those of the second.
    """

    def layouts(header: Header) -> list[Layout]:
        found = []
        for segment in header.segments:
            config = read_config(
                header.model,
                segment.model_fields,
                height=header.height,
                width=header.width,
                num_frames=segment.num_frames,
            )
            _, sizes, groups = tensor_layout(config)
            ends = np.cumsum([0, *groups]).tolist()
            grid = embedding_grid(config) or (0, 1, 1)
            found.append(([sizes[a:b] for a, b in pairwise(ends)], grid[1:]))
        return found

    return layouts

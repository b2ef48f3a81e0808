"""Make the golden files of the current format version: `python scripts/make_golden.py`.

In: nothing; the clips are drawn here. Out: in `tests/golden/`, for each network, and for each shape
that its file has not, a small `vN-NAME.inr`, one of its frames as `vN-NAME.png`, and
`vN.json` with what the files hold: header, SHA-256 of each segment's symbols, mean of every frame.
The symbols are those that the independent decoder `tests/bitstream/stranger.py` reads.

Golden files are never made again once their version is released: decoders of all later versions
must read these very bytes. So only those that are missing are made; before a release, `--force`
replaces them all.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import math
import struct
import sys
import tempfile
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

import inrcodec
from inrcodec import VideoDecoder, models
from inrcodec._segment_codec import embedding_grid, tensor_layout
from inrcodec.bitstream import VERSION, InrFile, TimeStamps, _payload, file_bytes, pack_audio
from inrcodec.video import AudioPacket, AudioStream

TAGGED = "hnervpp"  # two segments, variable frame rate, tags and audio
TESTS = Path(__file__).resolve().parent.parent / "tests"
GOLDEN = TESTS / "golden"
SIDE, NUM_FRAMES = 64, 4
# What no network's own file has: motion, and enough embeddings to be coded in context; states that
# take turns.
SHAPES: dict[str, dict[str, Any]] = {
    "hnervpp-motion": {
        "model": "hnervpp",
        "num_frames": 12,
        "model_settings": {"motion": 1, "strides": (2, 2), "head_stride": 2},
    },
    "hnervpp-states": {
        "model": "hnervpp",
        "num_frames": 12,
        "model_settings": {"strides": (2, 2), "head_stride": 2},
        "log_states": 3,
    },
}
SMALL = ("hnerv", "hnervpp", "nerv", "nervpp")  # have a size for 4 kB
FRAME = 2  # the one stored as a picture
MAX_BYTES = 20_000


def main() -> int:
    """Make the files; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--force", action="store_true", help="replace the files of this version")
    force = parser.parse_args().force
    record = GOLDEN / f"v{VERSION}.json"
    entries = json.loads(record.read_text()) if record.exists() and not force else {}
    wished: dict[str, dict[str, Any]] = {name: {"model": name} for name in models.names()} | SHAPES
    missing = {k: v for k, v in wished.items() if f"v{VERSION}-{k}.inr" not in entries}
    torch.set_num_threads(1)
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        made = {name: make(name, Path(folder), **shape) for name, shape in missing.items()}
    for name, data in made.items():
        path = GOLDEN / f"v{VERSION}-{name}.inr"
        path.write_bytes(data)
        entries[path.name] = describe(path)
        print(f"{path}: {len(data)} bytes")
    record.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n")
    return 0


def make(
    name: str,
    folder: Path,
    *,
    model: str,
    num_frames: int = NUM_FRAMES,
    model_settings: dict[str, Any] | None = None,
    log_states: int = 0,
) -> bytes:
    """Return the file that a short fit of `model` gives; `name` is the file's."""
    clip = folder / name
    clip.mkdir()
    for i in range(num_frames):
        Image.fromarray(draw(i)).save(clip / f"{i}.png")
    output = folder / f"{name}.inr"
    # So few symbols would have one state.
    with mock.patch.object(_payload, "suitable_log_states", return_value=log_states):
        inrcodec.encode(
            clip,
            output,
            model=model,
            bpp=2.0 if model in SMALL else 6.0,
            epochs=20 if model in SMALL else 60,
            segment_frames=num_frames // 2 if name == TAGGED else num_frames,
            model_settings=model_settings,
            device="cpu",
            seed=1,
        )
    data = tagged(output) if name == TAGGED else output.read_bytes()
    if len(data) > MAX_BYTES:
        raise SystemExit(f"{name}: {len(data)} bytes, must be <= {MAX_BYTES}")
    return data


def draw(index: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Frame `index`: (64, 64, 3) uint8, a disc that moves over gradients and a grating."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    grating = 0.5 + 0.2 * np.sin(2 * math.pi * (5 * x + 2 * y + 0.15 * index))
    disc = np.hypot(x - 0.3 - 0.1 * index, y - 0.5) < 0.2
    planes = np.stack([np.where(disc, 0.9, x), np.where(disc, 0.2, grating), 0.2 + 0.6 * y], -1)
    frame: np.ndarray[Any, np.dtype[np.uint8]] = np.rint(255 * planes).astype(np.uint8)
    return frame


def tagged(path: Path) -> bytes:
    """Return the file at `path` with every optional field of the header, and audio."""
    with InrFile(path) as file:
        header = replace(
            file.header,
            time_base=Fraction(1, 90000),
            average_fps=Fraction(30000, 1001),
            timestamps=TimeStamps(-3003, ((2, 3003), (1, 6006), (1, 1501))),
            color=(9, 16, 9, 1),
            sample_aspect_ratio=Fraction(4, 3),
            rotation=90,
            num_audio_streams=1,
        )
        segments = [file.segment(i) for i in range(len(header.segments))]
    packets = [
        AudioPacket(960 * i - 312, 960 * i - 312, 960, i == 0, bytes(range(5 * i, 5 * i + 9)))
        for i in range(6)
    ]
    stream = AudioStream(
        codec="opus",
        time_base=Fraction(1, 48000),
        sample_rate=48000,
        channels=2,
        layout="stereo",
        bit_rate=0,
        extradata=b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00",
        language="eng",
        packets=packets,
    )
    return file_bytes(header, segments, [pack_audio(stream)])


def describe(path: Path) -> dict[str, Any]:
    """Return what the test expects of the file, and store one of its frames beside it."""
    data = path.read_bytes()
    with VideoDecoder(data, device="cpu") as video:
        layouts = []
        for i in range(len(video.header.segments)):
            config = video.segment_config(i)
            _, sizes, groups = tensor_layout(config)
            ends = np.cumsum([0, *groups]).tolist()
            grid = embedding_grid(config) or (0, 1, 1)
            layouts.append(([sizes[a:b] for a, b in pairwise(ends)], grid[1:]))
        frames = video[:].permute(0, 2, 3, 1).numpy()
    decoded = load_stranger().decode_file(data, layouts)
    Image.fromarray(frames[FRAME]).save(path.with_suffix(".png"), optimize=True)
    return {
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "header": decoded.header,
        "symbols_sha256": [digest(segment.tensors) for segment in decoded.segments],
        "audio_sha256": [hashlib.sha256(b"".join(data)).hexdigest() for _, data in decoded.audio],
        "frame": FRAME,
        "mean_rgb": [np.round(frame.mean((0, 1)), 3).tolist() for frame in frames],
    }


def digest(tensors: list[list[int]]) -> str:
    """SHA-256 of a segment's symbols: int32, little-endian, tensors in order."""
    symbols = [symbol for tensor in tensors for symbol in tensor]
    return hashlib.sha256(struct.pack(f"<{len(symbols)}i", *symbols)).hexdigest()


def load_stranger() -> ModuleType:
    """Import the independent decoder, which lies in no package."""
    path = TESTS / "bitstream" / "stranger.py"
    spec = importlib.util.spec_from_file_location("inr_stranger", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())

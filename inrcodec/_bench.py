"""How fast this machine is: steps of a fit, decoded frames, coded bytes.

In: a preset, and the size of a clip that is made here, so that no video is needed. Out: a
`Speed`, whose fit and frames are of a real encode of that clip, read back from the file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from inrcodec._decoder import VideoDecoder
from inrcodec._encode import encode
from inrcodec._presets import preset as preset_named
from inrcodec._provenance import cpu_name, software_versions
from inrcodec._report import EncodeReport
from inrcodec.bitstream import pack_segment, unpack_segment
from inrcodec.fitting import resolve_device
from inrcodec.quantization import QuantizedTensors
from inrcodec.video import RawVideoFormat

NUM_SYMBOLS = 3_000_000
_SPREAD = 2.4  # of the symbols, which take 3.7 bits then, as the weights of `hnervpp` do
_FPS = 25
_CELLS = (4, 16, 64)  # pixels of the made texture's blobs, and how far they are apart
_PAN = (3, 1)  # pixels a frame, across and down
_AT_ONCE = 16  # frames that one call asks for
_LEAST_SECONDS = 1.0  # that frames are decoded for
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class CoderSpeed:
    """How fast weights become bytes and back, tables included."""

    symbols: int
    bytes: int
    pack_seconds: float
    unpack_seconds: float


@dataclass(frozen=True)
class Speed:
    """What was measured, and of what."""

    machine: str
    versions: dict[str, str]
    encode: EncodeReport
    steps_per_second: float  # of the whole fit: what prepares it and meets the rate is in it
    open_seconds: float  # until the first frame is there, with the entropy decoding
    decode_fps: dict[str, float]  # frames a second by precision, opening excluded
    coder: CoderSpeed

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        report = self.encode.to_dict()
        names = ("preset", "recipe", "model", "parameters", "kmac_per_pixel", "bytes", "bpp")
        fitted = ("frames", "width", "height", "steps", "device", "precision")
        return {
            "machine": self.machine,
            "versions": self.versions,
            **{name: report[name] for name in (*names, *fitted)},
            "fit_seconds": report["seconds"]["fit"],
            "steps_per_second": self.steps_per_second,
            "open_seconds": self.open_seconds,
            "decode_fps": self.decode_fps,
            "coder": asdict(self.coder),
        }

    def render(self) -> str:
        """Return the lines that `inrcodec bench` prints."""
        made, coder = self.encode, self.coder
        fps = ", ".join(f"{fps:.1f} in {precision}" for precision, fps in self.decode_fps.items())
        lines = {
            "machine": f"{self.machine}; {made.device}; PyTorch {self.versions['torch']}",
            "network": f"{made.model}, {made.num_parameters:,} values, "
            f"{made.kmac_per_pixel:.1f} kMAC/pixel of {made.width}x{made.height}, "
            f"preset {made.preset}",
            "fit": f"{self.steps_per_second:.2f} steps a second in {made.precision} "
            f"({made.steps} in a fit of {made.seconds['fit']:.1f} s, rate control included)",
            "decode": f"frames a second: {fps}; the first after {self.open_seconds:.2f} s",
            "coder": f"{coder.symbols:,} weights, {8 * coder.bytes / coder.symbols:.1f} bits each: "
            f"{coder.bytes / coder.pack_seconds / 1e6:.2f} MB/s packed, "
            f"{coder.bytes / coder.unpack_seconds / 1e6:.1f} MB/s unpacked",
        }
        return "\n".join(f"{name:8} {text}" for name, text in lines.items())


def measure_speed(
    *,
    preset: str,
    size: tuple[int, int],
    num_frames: int,
    bpp: float,
    time_seconds: float,
    device: str,
    progress: bool = False,
) -> Speed:
    """Encode a made clip within a given time, decode the file, and code as many weights again.

    Args:
        preset: of the encode.
        size: width and height of the clip.
        num_frames: of the clip.
        bpp: of the file.
        time_seconds: bound of the encode.
        device: where to fit and to decode.
        progress: show the fit's progress on stderr.

    Raises:
        ValueError: an argument is out of its range.
        RateError: no network is so small, or so large.
        TimeError: the time is too short for a fit.
    """
    place = resolve_device(device)
    preset_named(preset)
    with tempfile.TemporaryDirectory(prefix="inrcodec-bench-") as folder:
        source, output = Path(folder) / "made.yuv", Path(folder) / "made.inr"
        frames = made_frames(num_frames, width=size[0], height=size[1])
        source.write_bytes(frames.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
        del frames
        report = encode(
            source,
            output,
            raw=RawVideoFormat(*size, "rgb24", Fraction(_FPS)),
            preset=preset,
            bpp=bpp,
            time_seconds=time_seconds,
            device=str(place),
            progress=progress,
        )
        opening, decode_fps = _decoding(output.read_bytes(), place)
    return Speed(
        machine=cpu_name(),
        versions=software_versions(),
        encode=report,
        steps_per_second=report.steps / report.seconds["fit"],
        open_seconds=opening,
        decode_fps=decode_fps,
        coder=_coding(),
    )


def made_frames(num_frames: int, *, width: int, height: int, seed: int = 0) -> Tensor:
    """Return `(N, 3, H, W)` uint8 frames: blobs of several sizes that move as a camera pans."""
    generator = torch.Generator().manual_seed(seed)
    across, down = _PAN
    canvas_size = height + down * num_frames, width + across * num_frames
    canvas = torch.zeros(1, 3, *canvas_size)
    for cell in _CELLS:
        rows, columns = (-(-side // cell) + 1 for side in canvas_size)
        blobs = torch.randn(1, 3, rows, columns, generator=generator)
        canvas += F.interpolate(blobs, size=canvas_size, mode="bicubic", align_corners=True)
    pixels = (128 + 32 * canvas[0]).clamp(0, 255).to(torch.uint8)
    return torch.stack(
        [
            pixels[:, down * i : down * i + height, across * i : across * i + width]
            for i in range(num_frames)
        ]
    )


def _decoding(data: bytes, device: torch.device) -> tuple[float, dict[str, float]]:
    """Return the seconds until the first frame in fp32, and frames a second by precision."""
    first_seconds, fps = [], dict[str, float]()
    for precision in ("fp32", "auto"):
        start = time.perf_counter()
        with VideoDecoder(data, device=str(device), precision=precision) as decoder:
            decoder[0]
            _wait_for(device)
            first_seconds.append(time.perf_counter() - start)
            if decoder.precision not in fps:  # `auto` may be fp32
                fps[decoder.precision] = _fps(decoder, device)
    return first_seconds[0], fps


def _fps(decoder: VideoDecoder, device: torch.device) -> float:
    """Return decoded frames a second, after all were decoded once to warm up."""

    def decode_all() -> None:
        for first in range(0, len(decoder), _AT_ONCE):
            decoder[first : first + _AT_ONCE]
        _wait_for(device)

    decode_all()
    start, count, seconds = time.perf_counter(), 0, 0.0
    while seconds < _LEAST_SECONDS:
        decode_all()
        count += len(decoder)
        seconds = time.perf_counter() - start
    return count / seconds


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _coding() -> CoderSpeed:
    """Code a segment of one large tensor, and decode it again."""
    spread = np.random.default_rng(0).laplace(0, _SPREAD, NUM_SYMBOLS)
    symbols: NDArray[np.int32] = np.rint(spread).astype(np.int32)
    quantized = QuantizedTensors(1.0, [0], [symbols])
    pack_seconds, data = _timed(partial(pack_segment, quantized, [1]))
    unpack_seconds, _ = _timed(partial(unpack_segment, data, [NUM_SYMBOLS], [1]))
    return CoderSpeed(NUM_SYMBOLS, len(data), pack_seconds, unpack_seconds)


def _timed(function: Callable[[], _Result]) -> tuple[float, _Result]:
    """Return the seconds of the faster of two calls, and what the last gave."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result

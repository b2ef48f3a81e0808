"""Facts of a registered network, sized for a clip: parameters, multiply-accumulates, speed.

In: a network's name, a `Clip`, and the device to measure on, or None. Out: a `ModelSummary`, or a
`ModelCard` that has the drawing too; `to_dict` gives what `--json` prints.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import time
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from inrcodec._model_card._steps import Drawing, draw_steps
from inrcodec._seeded import seeded
from inrcodec._segment_codec import SegmentDecoder
from inrcodec.models import (
    Entry,
    Network,
    NetworkConfig,
    StoredSize,
    count_parameters,
    entry,
    for_budget,
    macs_per_frame,
)

__all__ = [
    "Clip",
    "ModelCard",
    "ModelSummary",
    "decode_fps",
    "describe",
    "device_text",
    "summarize",
]

_LEAST_SECONDS = 0.5  # that frames are decoded for, after one to warm up
_SLOW_SECONDS = 1.0  # a first frame that takes so long is as slow as the next
_FRAME_FIELDS = ("height", "width", "num_frames")


@dataclass(frozen=True)
class Clip:
    """What a network is sized for."""

    width: int = 1280
    height: int = 720
    num_frames: int = 132
    num_params: int = 1_500_000  # stored values, embeddings included


@dataclass(frozen=True)
class ModelSummary:
    """One line of the list."""

    entry: Entry
    clip: Clip
    config: NetworkConfig
    size: StoredSize
    macs: int  # a frame
    device: str
    decode_fps: float | None  # None where it was not measured

    @property
    def kmac_per_pixel(self) -> float:
        """Thousands of multiply-accumulates for each pixel of a frame."""
        return self.per_pixel(self.macs)

    def per_pixel(self, macs: int) -> float:
        """Return multiply-accumulates of one frame as kMAC/pixel."""
        return macs / (self.clip.width * self.clip.height) / 1000

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "name": self.entry.name,
            "paper": self.entry.paper,
            "arxiv": self.entry.arxiv,
            "parameters": self.size.total,
            "embedding_parameters": self.size.embeddings,
            "kmac_per_pixel": self.kmac_per_pixel,
            "hyper_parameters": self.config.to_dict(),
            "decode_fps": self.decode_fps,
            "device": self.device,
        }


@dataclass(frozen=True)
class ModelCard:
    """All that is known of a network."""

    summary: ModelSummary
    drawing: Drawing

    @property
    def about(self) -> str:
        """First paragraphs of the docstrings of the network's class and of its module."""
        network = self.summary.entry.network
        texts = [network.__doc__, getattr(sys.modules.get(network.__module__), "__doc__", None)]
        first = [inspect.cleandoc(text).split("\n\n")[0] for text in texts if text]
        return " ".join(" ".join(first).split())

    @cached_property
    def driven_by(self) -> str:
        """What the decoder maps to a frame."""
        network = self.summary.entry.network
        shape = self.summary.config.embedding_shape
        if shape is None:
            return "the frame index"
        text = f"stored embeddings of {' x '.join(map(str, shape))} a frame"
        takes_both = network.decode is not Network.decode
        return f"{text}, and the frame index" if takes_both else text

    @property
    def defaults(self) -> dict[str, Any]:
        """Hyper-parameters that are the network's defaults, which a file does not store."""
        config = self.summary.config
        stored = config.to_dict()
        fields = [f.name for f in dataclasses.fields(config) if f.name not in _FRAME_FIELDS]
        return {name: getattr(config, name) for name in fields if name not in stored}

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        summary = self.summary
        steps = [
            {
                "name": step.name,
                "class": step.kind or None,
                "from": list(step.sources),
                "runs": step.calls,
                "shape": None if step.shape is None else list(step.shape),
                "modules": [str(part) for part in step.parts],
                "parameters": step.parameters,
                "kmac_per_pixel": summary.per_pixel(step.macs),
            }
            for step in self.drawing.steps
        ]
        return {
            **summary.to_dict(),
            "url": f"https://arxiv.org/abs/{summary.entry.arxiv}",
            "about": self.about,
            "driven_by": self.driven_by,
            "decoder_parameters": summary.size.decoder,
            "default_hyper_parameters": self.defaults,
            "clip": dataclasses.asdict(summary.clip),
            "drawing": steps,
        }


def summarize(name: str, clip: Clip, *, device: str = "cpu", speed: bool = True) -> ModelSummary:
    """Size the network `name` for the clip and, with `speed`, time its decoder on the device.

    Raises:
        ModelError: no such network, or none of this size.
    """
    config = for_budget(
        name,
        clip.num_params,
        height=clip.height,
        width=clip.width,
        num_frames=clip.num_frames,
    )
    return ModelSummary(
        entry=entry(name),
        clip=clip,
        config=config,
        size=count_parameters(config),
        macs=macs_per_frame(config),
        device=device,
        decode_fps=_decode_fps_or_none(name, config, device) if speed else None,
    )


def describe(name: str, clip: Clip, *, device: str = "cpu", speed: bool = True) -> ModelCard:
    """Return `summarize`'s facts with a drawing; raises the same."""
    summary = summarize(name, clip, device=device, speed=speed)
    return ModelCard(summary, draw_steps(summary.config))


def device_text(name: str) -> str:
    """Return the device's name with what makes it fast or slow."""
    if name.startswith("cuda"):
        return f"{name} ({torch.cuda.get_device_name(name)})"
    return f"{name} ({torch.get_num_threads()} threads)"


def _decode_fps_or_none(name: str, config: NetworkConfig, device: str) -> float | None:
    """Return `decode_fps`, or warn and return None where the device's memory is too small."""
    try:
        return decode_fps(config, torch.device(device))
    except (MemoryError, RuntimeError) as exc:
        if isinstance(exc, RuntimeError) and "memory" not in str(exc):
            raise
        warnings.warn(f"{name}: too little memory to decode a frame on {device}", stacklevel=2)
        return None


def decode_fps(config: NetworkConfig, device: torch.device) -> float:
    """Return frames a second of the reference decoder (fp32), one frame at a time.

    The weights are those of a fresh network; all weights take the same time.
    """
    with seeded(0):
        network = config.build(with_encoder=False)
        shape = network.embedding_shape
        embeddings = None if shape is None else torch.randn(1, *shape)
    if embeddings is not None:
        embeddings = embeddings.expand(config.num_frames, -1, -1, -1)
    decoder = SegmentDecoder(network, embeddings, device=device)

    # From the middle on, where networks that warp neighbouring frames have all of them.
    def decode(count: int) -> None:
        decoder.decode([(config.num_frames // 2 + count) % config.num_frames])
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    start = time.perf_counter()
    decode(0)
    seconds = time.perf_counter() - start
    if seconds > _SLOW_SECONDS:
        return 1 / seconds
    start, num_frames, seconds = time.perf_counter(), 0, 0.0
    while seconds < _LEAST_SECONDS:
        num_frames += 1
        decode(num_frames)
        seconds = time.perf_counter() - start
    return num_frames / seconds

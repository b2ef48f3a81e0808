"""Evaluation: one reference for every codec, scores against it, and the averages over two curves.

    reference = prepare_reference("bunny", Path("work"), frames=(0, 32), resize=(640, 360))
    scores = score(reference, decoded_rgb, decoded_yuv, metrics=("psnr_rgb", "vmaf"))
    bd_rate(anchor_points, test_points)                  # per cent

Frames lie in raw files and are read a few at a time: preparing and scoring 600 frames of 1080p fits
in 4 GB of memory. An encode of ours does not: it holds the clip in memory.
Imports are lazy, as in `inrcodec`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inrcodec.evaluation._bd import bd_psnr, bd_rate
    from inrcodec.evaluation._colour import rgb_to_yuv420, yuv420_to_rgb
    from inrcodec.evaluation._raw import RawFrames
    from inrcodec.evaluation._reference import Reference, prepare_reference
    from inrcodec.evaluation._scores import METRICS, score

__all__ = [
    "METRICS",
    "RawFrames",
    "Reference",
    "bd_psnr",
    "bd_rate",
    "prepare_reference",
    "rgb_to_yuv420",
    "score",
    "yuv420_to_rgb",
]

_HOME = {
    "METRICS": "_scores",
    "RawFrames": "_raw",
    "Reference": "_reference",
    "bd_psnr": "_bd",
    "bd_rate": "_bd",
    "prepare_reference": "_reference",
    "rgb_to_yuv420": "_colour",
    "score": "_scores",
    "yuv420_to_rgb": "_colour",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"inrcodec.evaluation.{_HOME[name]}"), name)
    raise AttributeError(f"module 'inrcodec.evaluation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

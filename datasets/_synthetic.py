"""Clips that are computed, each of one thing that is hard or easy for a codec; `fetch` makes them.

See `_made.py`, which needs NumPy.
"""

from __future__ import annotations

from fractions import Fraction

from inrcodec.datasets._dataset import Dataset, Made

__all__ = ["CLIPS", "HEIGHT", "NUM_FRAMES", "WIDTH"]

WIDTH, HEIGHT, NUM_FRAMES = 320, 192, 48
_FPS = 25

_KINDS: dict[str, tuple[str, str]] = {
    "pan": (
        "the camera pans by whole pixels",
        "d5521fb2e0b0bdf4cc16feb5d243d37866afeee25310d5a23523deba7fd00191",
    ),
    "zoom": (
        "the camera zooms in",
        "bd56e778b69613cc7d4dce9d40b6c585014355c44ecd680d047e3eaf5ba1bfe0",
    ),
    "object": (
        "a disc moves before a background at rest",
        "47a1491c80d9c2ddd66c491047b2bf99e417e320de53461fe3035a39f414e814",
    ),
    "cuts": (
        "three scenes at rest",
        "13fbd7824611b50a1ed2af77d052abd88e8e8714031f349dc8fd82daa78ad917",
    ),
    "noise": (
        "a scene at rest, with grain",
        "894c1bdf9436fd6687416e63eea265d6e8753c659d72d5c1735737f0d72702ac",
    ),
}  # by name: title, SHA-256


def _clip(kind: str) -> Dataset:
    title, sha256 = _KINDS[kind]
    name = f"synthetic/{kind}"
    return Dataset(
        name=name,
        title=f"Made texture: {title}",
        licence="CC0 1.0",
        page="",
        width=WIDTH,
        height=HEIGHT,
        num_frames=NUM_FRAMES,
        size_bytes=NUM_FRAMES * WIDTH * HEIGHT * 3 // 2,
        sha256=sha256,
        how_to_get=f"inrcodec datasets {name} --fetch",
        file_name=f"{kind}_{WIDTH}x{HEIGHT}_{_FPS}fps_420_8bit.yuv",
        group="synthetic",
        pixel_format="yuv420p",
        fps=Fraction(_FPS),
        source=Made(kind=kind),
    )


CLIPS = tuple(_clip(kind) for kind in _KINDS)

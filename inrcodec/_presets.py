"""Presets: named answers to how long, how large and which network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What `--preset` stands for; every field can be overridden by its own option."""

    model: str  # a name in the zoo
    bpp: float  # bits per pixel of the file, audio excluded
    epochs: int  # visits of every frame
    recipe: str  # a name in `fitting.RECIPES`


PRESETS = {
    "fast": Preset(model="hnervpp", bpp=0.05, epochs=50, recipe="default"),
    "medium": Preset(model="hnervpp", bpp=0.05, epochs=150, recipe="default"),
    "slow": Preset(model="hnervpp", bpp=0.05, epochs=300, recipe="default"),
    "best": Preset(model="hnervpp", bpp=0.05, epochs=1200, recipe="default"),
}

SEGMENT_FRAMES = 600
"""A longer video is cut into segments of at most so many frames, each with its own network."""

BITS_PER_PARAMETER = 5.0
"""What a stored value takes at the rate that the network is sized for."""


def preset(name: str) -> Preset:
    """Return the preset `name`.

    Raises:
        ValueError: no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}, must be one of {', '.join(PRESETS)}")
    return PRESETS[name]

"""Presets: named answers to how long, how large and which network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """What `--preset` stands for; each field but the bound has an option that overrides it."""

    model: str  # a name in the zoo
    bpp: float  # bits per pixel of the file, audio excluded
    epochs: int  # visits of every frame
    recipe: str  # a name in `fitting.RECIPES`
    max_kmac_per_pixel: float | None  # to decode frames of 1280x720 or more

    def kmac_bound(self, model: str, *, height: int, width: int) -> float | None:
        """Thousands of multiply-accumulates a pixel that decoding may take, None for any number.

        Smaller frames than 1280x720 may take as many a frame as that. Another model than the
        preset's is not bounded.
        """
        if model != self.model or self.max_kmac_per_pixel is None:
            return None
        return self.max_kmac_per_pixel * max(1.0, _HD_PIXELS / (height * width))


_HD_PIXELS = 1280 * 720

# Bounds for 60 and 25 frames of 1280x720 a second on two CPU cores in bfloat16, and half of that
# without AVX-512; measured are 137 and 41, and 40 and 13 (benchmarks/results/decode_cpu*.json), the
# second ones with motion, which counts as 2 kMAC/pixel.
PRESETS = {
    "fast": Preset("hnervpp", bpp=0.05, epochs=50, recipe="default", max_kmac_per_pixel=1.2),
    "medium": Preset("hnervpp", bpp=0.05, epochs=150, recipe="default", max_kmac_per_pixel=5.0),
    "slow": Preset("hnervpp", bpp=0.05, epochs=300, recipe="default", max_kmac_per_pixel=60.0),
    "best": Preset("hnervpp", bpp=0.05, epochs=1200, recipe="default", max_kmac_per_pixel=None),
}

SEGMENT_FRAMES = 600
"""A longer video is cut into segments of at most so many frames, each with its own network."""

BITS_PER_PARAMETER = 5.0
"""What a weight takes at the rate that a network is sized for; embeddings take less."""

# More weights of fewer bits are better (benchmarks/notes/rate.md).
_FEWER_BITS = {"hnervpp": 3.7}

MAX_BITS_PER_PARAMETER = 10.0
"""At most: a file's integers take up to 12 bits, and so few of them could not fill its bytes."""


def bits_for(model: str) -> float:
    """Return what a weight takes at the rate that a network is sized for."""
    return _FEWER_BITS.get(model, BITS_PER_PARAMETER)


def preset(name: str) -> Preset:
    """Return the preset `name`.

    Raises:
        ValueError: no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}, must be one of {', '.join(PRESETS)}")
    return PRESETS[name]

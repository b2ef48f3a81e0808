"""Whether a segment's network follows motion, and what that takes of it.

In: frames, the network's name and what is wished of it. Out: the `ClipMotion` that the fit starts
from, and the settings that make room for it in the network; nothing for clips that stand still,
networks that cannot follow, and bounds that leave no time for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from inrcodec.fitting import ClipMotion, estimate_motion
from inrcodec.models import entry

PLACE_KMAC_PER_PIXEL = 2.0
"""What reading a frame from its canvas takes of the time to decode it, in kMAC a pixel."""

# Of a canvas and the frames that it stands for, displaced and as they are.
_LEAST_GAIN_DB = 0.5
_LEAST_KMAC_PER_PIXEL = 2 * PLACE_KMAC_PER_PIXEL  # a bound under it is kept without motion


def find_motion(
    frames: Tensor,
    *,
    model: str,
    settings: Mapping[str, object],
    max_kmac_per_pixel: float | None,
    progress: Callable[[list[Any]], Any],
) -> ClipMotion | None:
    """Return the motion of `frames` `(N, 3, H, W)` uint8 where the network is to follow it.

    Args:
        frames: of one segment.
        model: the network's name.
        settings: of the network; `motion` 0 or 1 decides.
        max_kmac_per_pixel: bound on decoding, None for any number.
        progress: wraps the work to be done, as it is taken.
    """
    wish = settings.get("motion")
    if not entry(model).config_class.follows_motion or wish == 0 or len(frames) < 2:
        return None
    is_bounded = max_kmac_per_pixel is not None and max_kmac_per_pixel < _LEAST_KMAC_PER_PIXEL
    if wish is None and is_bounded:
        return None
    motion = estimate_motion(frames, progress=progress)
    return motion if wish is not None or motion.gain_db >= _LEAST_GAIN_DB else None


def motion_settings(motion: ClipMotion | None) -> dict[str, object]:
    """Return the settings of a network that follows `motion`."""
    if motion is None:
        return {}
    return {"motion": 1, "margin": math.ceil(motion.reach)}

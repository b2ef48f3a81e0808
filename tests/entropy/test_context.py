"""Context: levels follow magnitudes, by integers that agree with a second writing of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inrcodec.entropy import MAX_GAIN, NUM_LEVELS, MagnitudeContext

FRAMES = arrays(
    np.int32,
    st.tuples(*(st.integers(1, n) for n in (4, 3, 5, 6))),
    elements=st.one_of(st.integers(-3, 3), st.integers(-4095, 4095)),
)


@settings(deadline=None, max_examples=40)
@given(FRAMES, st.lists(st.integers(-MAX_GAIN, MAX_GAIN), min_size=4, max_size=4))
def test_levels_are_those_of_the_specification(frames: np.ndarray, gains: list[int]) -> None:  # type: ignore[type-arg]
    _, channels, rows, columns = frames.shape
    context = MagnitudeContext(channels, rows, columns)
    means = np.zeros(frames.shape[1:], object)  # of Python's integers
    for i, (frame, gain) in enumerate(zip(frames, gains, strict=False)):
        levels = context.levels(gain)
        for c in range(channels):
            share = (sum(means[c].ravel().tolist()) // (rows * columns)) >> 4
            for y in range(rows):
                for x in range(columns):
                    expected = means[c, y, x] + share + 1
                    level = max(k for k in range(48) if k == 0 or expected**4 >= 2 ** (2 * k - 1))
                    assert levels[c, y, x] == min(max(level + gain, 0), NUM_LEVELS - 1)
        for c, y, x in np.ndindex(*frame.shape):
            near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(min(max(v, 0), rows - 1), min(max(u, 0), columns - 1)) for v, u in near]
            beside = sum(abs(int(frame[c, v, u])) for v, u in inside)
            seen = 16 * (4 * abs(int(frame[c, y, x])) + beside)
            means[c, y, x] += (seen - means[c, y, x]) >> 1 if i else seen
        context.update(frame)


def test_a_level_is_half_an_octave() -> None:
    """Cells whose magnitudes stay the same are expected to have just those."""
    magnitudes = np.array([0, 1, 2, 4, 64, 1024])
    frame = np.repeat(magnitudes, 9).reshape(6, 3, 3)
    context = MagnitudeContext(6, 3, 3)
    for _ in range(3):
        context.update(frame)
    levels = context.levels(context.suitable_gain(frame))
    found = 2.0 ** (levels[1:, 1, 1] / 2) / 128
    assert np.abs(np.log2(found / magnitudes[1:])).max() <= 0.5
    assert np.ptp(levels, axis=(1, 2)).max() == 0  # cells of a channel are alike
    assert levels[0, 0, 0] == 0


@pytest.mark.parametrize("scale", [0.3, 1, 7, 200])
def test_gain_follows_a_frame_that_changes_more(scale: float) -> None:
    rng = np.random.default_rng(0)
    context = MagnitudeContext(2, 8, 9)
    context.update(np.rint(rng.laplace(0, 20, (2, 8, 9))))
    frame = np.rint(rng.laplace(0, 20 * scale, (2, 8, 9)))
    assert context.suitable_gain(frame) == pytest.approx(2 * math.log2(scale), abs=1)


def test_gain_of_frames_at_the_ends_of_the_range() -> None:
    context = MagnitudeContext(1, 2, 2)
    still, wild = np.zeros((1, 2, 2), np.int32), np.full((1, 2, 2), 4095)
    assert context.levels(context.suitable_gain(wild)).max() < NUM_LEVELS
    context.update(wild)
    assert -MAX_GAIN <= context.suitable_gain(still) < -20
    assert context.levels(context.suitable_gain(still)).max() == 0

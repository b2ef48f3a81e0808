"""Presets: what they bound, and for whom."""

from __future__ import annotations

import pytest

from inrcodec._presets import PRESETS, preset


def test_frames_up_to_720p_may_take_the_operations_of_720p() -> None:
    fast = preset("fast")
    assert fast.kmac_bound("hnervpp", height=720, width=1280) == pytest.approx(1.2)
    assert fast.kmac_bound("hnervpp", height=360, width=640) == pytest.approx(4 * 1.2)
    assert fast.kmac_bound("hnervpp", height=1080, width=1920) == pytest.approx(1.2)


def test_another_model_and_the_best_preset_are_not_bounded() -> None:
    assert preset("fast").kmac_bound("hnerv", height=720, width=1280) is None
    assert preset("best").kmac_bound("hnervpp", height=720, width=1280) is None


def test_slower_presets_take_more_of_everything() -> None:
    bounds = [p.max_kmac_per_pixel or float("inf") for p in PRESETS.values()]
    assert bounds == sorted(bounds)
    epochs = [p.epochs for p in PRESETS.values()]
    assert epochs == sorted(epochs)


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ValueError, match="preset is 'quick', must be one of fast, medium"):
        preset("quick")

"""The search for the smallest file of a quality, with fits that cost nothing."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inrcodec import _quality_search
from inrcodec._quality_search import search_quality
from inrcodec._rounds import EncodedVideo
from inrcodec.errors import RateError

SMALLEST = 1700


@pytest.fixture(autouse=True)
def _coded_as_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_quality_search, "_coarsen", lambda encoded, *others: encoded)


def test_no_fit_for_a_size_that_is_hardly_another() -> None:
    fitted: list[int] = []

    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        if num_bytes < SMALLEST:
            raise RateError("no network is so small")
        fitted.append(num_bytes)
        return cast("Any", SimpleNamespace(video_bytes=num_bytes, unused_octaves=4.0))

    found = search_quality(
        18.0, 1840, encode=encode, psnr_db=lambda encoded: 19.0, seconds_left=lambda: math.inf
    )
    assert fitted == [1840]
    assert found.video_bytes == 1840


def test_where_nothing_fits_the_reason_is_the_goal() -> None:
    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        return cast("Any", SimpleNamespace(video_bytes=num_bytes, unused_octaves=0.0))

    with pytest.raises(RateError, match=r"40 dB was not reached: 19.00 dB at .* of 4 fits"):
        search_quality(
            40, 1840, encode=encode, psnr_db=lambda encoded: 19.0, seconds_left=lambda: math.inf
        )


def test_a_clip_of_so_few_pixels_that_its_rate_is_no_byte() -> None:
    sizes: list[int] = []

    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        sizes.append(num_bytes)
        if num_bytes < SMALLEST:
            raise RateError("no network is so small")
        return cast("Any", SimpleNamespace(video_bytes=num_bytes, unused_octaves=0.0))

    found = search_quality(
        18.0, 0, encode=encode, psnr_db=lambda encoded: 19.0, seconds_left=lambda: math.inf
    )
    assert sizes[0] == 1
    assert found.video_bytes >= SMALLEST

"""The search for the smallest file of a quality, with fits that cost nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inrcodec import _quality_search
from inrcodec._quality_search import search_quality
from inrcodec._rounds import EncodedVideo, UncodableError
from inrcodec.errors import RateError, TimeError

SMALLEST = 1700


@pytest.fixture
def _coded_as_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_quality_search, "_coarsen", lambda encoded, *others: encoded)


@dataclass(frozen=True)
class Fitted:
    """A clip as it was fitted for some bytes, and coded in as many or fewer."""

    fitted_bytes: int
    video_bytes: int
    unused_octaves: float = 0.0

    def recode(self, num_bytes: int) -> Fitted:
        if num_bytes < 0.7 * self.fitted_bytes:
            raise RateError("it does not fit at any step")
        return replace(self, video_bytes=num_bytes)

    @property
    def psnr_db(self) -> float:
        """2.5 dB for twice the bytes; in fewer than it was fitted for, it loses twice that."""
        lost = math.log2(self.fitted_bytes / self.video_bytes)
        return 30.0 + 2.5 * (math.log2(self.fitted_bytes / 10_000) - 2 * lost)


def quality(encoded: EncodedVideo) -> float:
    return cast("Any", encoded).psnr_db


@pytest.mark.parametrize("first", [2500, 9000, 60_000])
def test_the_smallest_of_the_files_that_reach_it_is_returned(first: int) -> None:
    fits: list[Fitted] = []

    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        assert round_index == len(fits)
        fits.append(Fitted(num_bytes, num_bytes))
        return cast("Any", fits[-1])

    found = search_quality(30.0, first, encode=encode, psnr_db=quality, seconds_left=lambda: 1e9)
    reached = [fit for fit in fits if fit.psnr_db >= 30.0]
    assert len(fits) <= 4
    assert quality(found) >= 30.0
    assert found.video_bytes <= min(fit.video_bytes for fit in reached)
    assert 10_000 <= found.video_bytes <= 1.13 * 10_000  # which a fit of just so many bytes has


def test_a_fit_is_coded_as_coarsely_as_the_goal_admits() -> None:
    measured: list[int] = []

    def psnr_db(encoded: EncodedVideo) -> float:
        measured.append(encoded.video_bytes)
        return quality(encoded)

    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        if round_index:
            raise TimeError("no time is left")
        return cast("Any", Fitted(num_bytes, num_bytes))

    goal_db = quality(cast("Any", Fitted(12_000, 10_000)))
    found = search_quality(
        goal_db, 12_000, encode=encode, psnr_db=psnr_db, seconds_left=lambda: math.inf
    )
    assert 10_000 <= found.video_bytes <= 10_300
    assert len(measured) == 1 + 5


@pytest.mark.usefixtures("_coded_as_fitted")
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


@pytest.mark.usefixtures("_coded_as_fitted")
def test_where_nothing_fits_the_reason_is_the_goal() -> None:
    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        return cast("Any", SimpleNamespace(video_bytes=num_bytes, unused_octaves=0.0))

    with pytest.raises(RateError, match=r"40 dB was not reached: 19.00 dB at .* of 4 fits"):
        search_quality(
            40, 1840, encode=encode, psnr_db=lambda encoded: 19.0, seconds_left=lambda: math.inf
        )


@pytest.mark.usefixtures("_coded_as_fitted")
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


def test_fits_that_cannot_be_coded_are_rounds_and_their_reason_is_told() -> None:
    sizes: list[int] = []

    def encode(round_index: int, num_bytes: int) -> EncodedVideo:
        assert round_index == len(sizes)
        sizes.append(num_bytes)
        raise UncodableError("the clip hardly changes; wish for more bytes")

    with pytest.raises(RateError, match="40 dB was not reached: the clip hardly changes"):
        search_quality(40, 2000, encode=encode, psnr_db=quality, seconds_left=lambda: math.inf)
    assert sizes == [2000, 8000, 32_000, 128_000]

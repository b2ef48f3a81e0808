"""The clock: progress that never jumps, and ends where it was told to."""

from __future__ import annotations

import itertools

import pytest

from inrcodec.fitting._clock import Clock


def test_progress_is_the_used_part_of_the_budget() -> None:
    clock = Clock(80)
    assert [clock.progress(used) for used in (0, 20, 60, 80, 90)] == [0, 0.25, 0.75, 1, 1]
    assert clock.used_share == 1


def test_an_earlier_end_goes_on_from_where_the_progress_is() -> None:
    clock = Clock(100)
    clock.finish_in(30, used=20)
    values = [clock.progress(used) for used in range(20, 51)]
    assert values[0] == pytest.approx(0.2)
    assert values[-1] == 1.0
    assert values[-2] < 1.0
    steps = [b - a for a, b in itertools.pairwise(values)]
    assert steps == pytest.approx([0.8 / 30] * 30)
    assert clock.used_share == 0.5


def test_a_second_earlier_end_counts_from_the_first() -> None:
    clock = Clock(100)
    clock.finish_in(30, used=20)
    clock.finish_in(10, used=35)
    assert clock.progress(35) == pytest.approx(0.6)
    assert clock.progress(40) == pytest.approx(0.8)
    clock.finish_in(0, used=40)
    assert clock.progress(40) == 1.0


def test_what_is_skipped_is_no_progress_and_the_end_stays() -> None:
    clock = Clock(100)
    clock.skip(since=40, used=60)
    assert [clock.progress(used) for used in (60, 80, 100)] == pytest.approx([0.4, 0.7, 1.0])
    before = clock.state()
    clock.skip(since=80, used=80)  # as where steps are counted
    assert clock.state() == before
    assert clock.progress(90) == pytest.approx(0.85)
    clock.finish_in(10, used=90)
    clock.skip(since=95, used=120)  # beyond the end
    assert clock.progress(120) == 1.0


def test_an_end_is_never_moved_back() -> None:
    clock = Clock(100)
    clock.finish_in(60, used=70)
    assert clock.end == 100
    assert clock.progress(85) == pytest.approx(0.85)


def test_its_state_gives_the_same_progress_to_the_last_bit() -> None:
    clock = Clock(97)
    clock.finish_in(31, used=13)
    other = Clock(97)
    other.load_state(clock.state())
    assert [clock.progress(u) for u in range(13, 45)] == [other.progress(u) for u in range(13, 45)]

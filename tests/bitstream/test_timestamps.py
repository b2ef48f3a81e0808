"""Time stamps: constant and variable frame rates, exactly."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inrcodec.bitstream import TimeStamps


def test_constant_frame_rate_is_one_run() -> None:
    stamps = TimeStamps.from_pts(range(0, 51200, 512), last_duration=512)
    assert stamps == TimeStamps(0, ((100, 512),))
    assert stamps.num_frames == 100
    assert stamps.end == 51200
    assert stamps.pts().tolist() == list(range(0, 51200, 512))


def test_variable_frame_rate() -> None:
    pts = [0, 33, 67, 100, 133, 167]
    stamps = TimeStamps.from_pts(pts, last_duration=33)
    assert stamps.runs == ((1, 33), (1, 34), (2, 33), (1, 34), (1, 33))
    assert stamps.pts().tolist() == pts
    assert stamps.durations().tolist() == [33, 34, 33, 33, 34, 33]
    assert stamps.end == 200


def test_negative_start() -> None:
    stamps = TimeStamps.from_pts([-1024, -512, 0], last_duration=512)
    assert stamps == TimeStamps(-1024, ((3, 512),))
    assert stamps.pts().tolist() == [-1024, -512, 0]
    assert stamps.end == 512


def test_one_frame() -> None:
    stamps = TimeStamps.from_pts([7], last_duration=3)
    assert stamps == TimeStamps(7, ((1, 3),))
    assert stamps.pts().tolist() == [7]


def test_whole_range() -> None:
    stamps = TimeStamps(-(1 << 62), ((2, 1 << 62),))
    assert stamps.pts().tolist() == [-(1 << 62), 0]
    assert stamps.end == 1 << 62


@given(
    st.integers(-(1 << 40), 1 << 40),
    st.lists(
        st.tuples(st.integers(1, 4), st.one_of(st.integers(1, 3), st.integers(1, 1 << 40))),
        min_size=1,
        max_size=30,
    ),
)
def test_round_trip(first: int, runs: list[tuple[int, int]]) -> None:
    durations = [duration for count, duration in runs for _ in range(count)]
    pts = list(accumulate(durations[:-1], initial=first))
    stamps = TimeStamps.from_pts(pts, last_duration=durations[-1])
    assert stamps.pts().tolist() == pts
    assert stamps.durations().tolist() == durations
    assert stamps.num_frames == len(pts)
    assert stamps.end == pts[-1] + durations[-1]
    assert all(a != b for (_, a), (_, b) in pairwise(stamps.runs))


def test_no_frames() -> None:
    with pytest.raises(ValueError, match="pts is empty"):
        TimeStamps.from_pts([], last_duration=1)


@pytest.mark.parametrize(
    ("pts", "last", "words"),
    [
        ([0, 0], 1, "frame 0 lasts 0"),
        ([0, 5, 3], 1, "frame 1 lasts -2"),
        ([0, 1], 0, "frame 1 lasts 0"),
    ],
)
def test_time_that_stands_still_or_runs_back(pts: list[int], last: int, words: str) -> None:
    with pytest.raises(ValueError, match=f"{words}, time stamps must increase"):
        TimeStamps.from_pts(pts, last_duration=last)

"""Records: what is written comes back, and what is of other settings is not taken for the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._points import (
    EvalPoint,
    group_by_series,
    is_done,
    load_point,
    load_points,
    save_failure,
    save_point,
)

MakePoint = Callable[..., EvalPoint]


def test_a_record_comes_back(make_point: MakePoint, tmp_path: Path) -> None:
    point = make_point("hnerv", 0.05, kind="inr")
    path = tmp_path / "points" / "made" / "a.json"
    save_failure(path, "was broken before")
    save_point(path, point)
    assert load_points(tmp_path) == [point]
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_a_record_has_the_members_that_results_state(make_point: MakePoint) -> None:
    record = json.loads(make_point("x265", 0.05).to_json())
    stated = "clip width height frames codec preset bytes bpp encode_seconds decode_seconds device"
    assert {*stated.split(), "versions", "commit", "seed", "per_frame", "stream"} <= set(record)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"clip": 1}', "null"])
def test_a_damaged_record_says_what_to_do(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=r"a\.json: .*delete it to measure"):
        load_point(path)


def test_a_record_without_bytes_is_refused(make_point: MakePoint, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    save_point(path, replace(make_point("x265", 0.05), bytes=0))
    with pytest.raises(EvaluationError, match="no bytes"):
        load_point(path)


def test_members_of_later_versions_are_passed_over(make_point: MakePoint) -> None:
    point = make_point("x265", 0.05)
    assert EvalPoint.from_dict({**json.loads(point.to_json()), "later": 1}) == point


def test_a_point_counts_with_the_same_settings_only(make_point: MakePoint, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    settings = {"epochs": 10, "frames": (0, 32)}
    assert not is_done(path, settings, redo=False)
    save_point(path, replace(make_point("x265", 0.05), settings=settings))
    assert is_done(path, settings, redo=False)
    with pytest.raises(EvaluationError, match="epochs was 10, is 20; choose another --out, or"):
        is_done(path, {**settings, "epochs": 20}, redo=False)
    assert not is_done(path, {**settings, "epochs": 20}, redo=True)


def test_the_budget_of_a_fit_is_stated(make_point: MakePoint) -> None:
    ours = make_point("hnerv", 0.05, kind="inr")
    assert ours.budget == "30 epochs"
    assert replace(ours, settings={"epochs": None, "time_seconds": 120.0}).budget == "120 s"
    assert make_point("x265", 0.05).budget == ""


def test_curves_are_ours_first_and_rise(made_points: list[EvalPoint]) -> None:
    curves = group_by_series(reversed(made_points))
    assert list(curves) == ["hnerv", "nervpp", "vvenc slow", "x264 slow", "x265 slow"]
    assert all([p.bpp for p in curve] == sorted(p.bpp for p in curve) for curve in curves.values())

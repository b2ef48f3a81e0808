"""`benchmarks/rd_bunny.py`: only complete curves of one commit are published, as they were made."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._points import EvalPoint

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "rd_bunny.py"


@pytest.fixture(scope="module")
def rd_bunny() -> ModuleType:
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("rd_bunny", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curve(make_point: Callable[..., EvalPoint], codec: str, points: int) -> list[EvalPoint]:
    kind = "inr" if codec == "hnerv" else "reference"
    return [make_point(codec, 0.01 * 2**i, kind=kind) for i in range(points)]


def test_curves_with_holes_are_left_out(
    rd_bunny: ModuleType, make_point: Callable[..., EvalPoint]
) -> None:
    ours = curve(make_point, "hnerv", 4)
    assert rd_bunny.complete([*ours, *curve(make_point, "svtav1", 5)]) == ours


def test_mixed_commits_are_not_published(
    rd_bunny: ModuleType, make_point: Callable[..., EvalPoint]
) -> None:
    points = curve(make_point, "hnerv", 4)
    with pytest.raises(EvaluationError, match="abc1234, older"):
        rd_bunny.complete([replace(points[0], commit="older"), *points[1:]])
    with pytest.raises(EvaluationError, match=r"\(none\)"):
        rd_bunny.complete(points[:3])


def test_the_caption_says_what_the_records_say(
    rd_bunny: ModuleType, make_point: Callable[..., EvalPoint]
) -> None:
    ours = [
        replace(point, seed=7, settings={"time_seconds": 60.0})
        for point in curve(make_point, "hnerv", 4)
    ]
    tuned = replace(make_point("x265", 0.1), settings={"tune_psnr": True})
    caption = rd_bunny.caption([*ours, tuned])
    assert "60 s of fitting a point; seed 7; reference codecs tuned for PSNR" in caption
    assert "tuned" not in rd_bunny.caption(ours)


def test_the_readme_says_what_the_committed_records_say(rd_bunny: ModuleType) -> None:
    text = rd_bunny.README.read_text()
    said = text.split(rd_bunny.BEGIN)[1].split(rd_bunny.END)[0].strip()
    assert said == rd_bunny.plot_and_table(rd_bunny.kept_points())

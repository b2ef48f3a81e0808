"""Published figures: every row says where it comes from, and none is mixed up with another."""

from __future__ import annotations

import json

import pytest

from inrcodec.errors import EvaluationError
from inrcodec.evaluation._published import load_published, parse_published, published_curves
from inrcodec.evaluation._tables import METRIC_LABELS

ROW = {"codec": "a", "metric": "psnr_rgb", "value": 30.0, "protocol": "p", "source": "s"}


def table(**row: object) -> str:
    return json.dumps(
        {"clip": "c", "protocols": {"p": "words"}, "sources": {"s": "paper"}, "rows": [ROW | row]}
    )


def test_every_row_has_source_protocol_and_metric() -> None:
    rows = load_published()
    assert len(rows) > 70
    for row in rows:
        assert row.metric in METRIC_LABELS
        assert len(row.protocol) > 20
        assert len(row.source) > 20
        assert row.clip == "bunny" or row.clip.startswith("uvg")
        assert row.bpp is None or 0 < row.bpp < 1
        assert 20 < row.value < 45 or row.metric == "ms_ssim"


def test_no_row_is_there_twice() -> None:
    rows = [json.dumps(vars(row), sort_keys=True) for row in load_published()]
    assert len(set(rows)) == len(rows)


def test_curves_rise_and_are_of_one_protocol() -> None:
    curves = published_curves(load_published(), clip="bunny")
    assert {(c.codec, len(c.points)) for c in curves} >= {("HNeRV", 3), ("HNeRV-Boost", 3)}
    for curve in (*curves, *published_curves(load_published(), clip="uvg")):
        assert list(curve.points) == sorted(curve.points)
        assert [value for _, value in curve.points] == sorted(v for _, v in curve.points)
    assert published_curves(load_published(), clip="somebody's") == []


@pytest.mark.parametrize("name", ["codec", "metric", "value", "protocol", "source"])
def test_a_row_that_lacks_something_is_refused(name: str) -> None:
    with pytest.raises(EvaluationError, match=f"published/x: .*lacks {name}"):
        parse_published("x", table(**{name: None}))


def test_protocol_and_source_must_be_explained() -> None:
    assert parse_published("x", table())[0].source == "paper"
    with pytest.raises(EvaluationError, match="elsewhere"):
        parse_published("x", table(source="elsewhere"))

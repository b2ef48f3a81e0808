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
        {
            "clip": "c",
            "protocols": {"p": {"size": [64, 48], "words": "words"}},
            "sources": {"s": "paper"},
            "rows": [ROW | row],
        }
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


# From the page of figures that were collected for this project: clip, codec, bpp or parameters, dB.
COLLECTED = [
    ("bunny", "NeRV", 350_000, 26.99),
    ("bunny", "E-NeRV", 3_000_000, 36.72),
    ("bunny", "HNeRV", 1_500_000, 35.57),
    ("bunny", "HNeRV", 0.101, 37.56),
    ("bunny", "HNeRV, 25 % pruned", 0.0866, 36.61),
    ("bunny", "HNeRV", 0.0248, 29.19),
    ("bunny", "HNeRV", 0.1001, 36.75),
    ("bunny", "HNeRV-Boost", 0.0329, 34.53),
    ("bunny", "HNeRV-Boost", 0.1014, 39.58),
    ("uvg", "HNeRV", 0.0139, 32.77),
    ("uvg", "FFNeRV", 0.089, 36.76),
    ("uvg", "C3", 0.254, 39.70),
    ("uvg", "HiNeRV", 0.0150, 34.80),
    ("uvg", "HiNeRV", 0.2271, 39.81),
    ("uvg", "x265 medium, no B", 0.0962, 36.94),
    ("uvg", "HM-18.0 random access", 0.073, 38.06),
    ("uvg", "VTM-17.0 random access", 0.096, 38.74),
    ("uvg/beauty", "HNeRV", 2_000_000, 33.68),
    ("uvg/readysetgo", "HNeRV", 5_000_000, 29.12),
    ("uvg/yachtride", "HNeRV", 10_000_000, 33.05),
]


@pytest.mark.parametrize("wanted", COLLECTED, ids=lambda row: f"{row[0]}-{row[1]}-{row[2]}")
def test_rows_are_those_that_were_collected(wanted: tuple[str, str, float, float]) -> None:
    clip, codec, size, value = wanted
    rows = [r for r in load_published() if (r.clip, r.codec) == (clip, codec)]
    found = [r.value for r in rows if size in (r.bpp, r.parameters) and r.metric == "psnr_rgb"]
    assert value in found


def test_sizes_are_those_that_the_protocols_say() -> None:
    for row in load_published():
        assert "{}x{}".format(*row.size) in row.protocol


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

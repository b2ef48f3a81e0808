"""Plots and the other files of an evaluation: there, readable, and the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from inrcodec.evaluation._outputs import default_anchor, write_outputs
from inrcodec.evaluation._plots import draw_rd
from inrcodec.evaluation._points import EvalPoint, load_points
from inrcodec.evaluation._published import PublishedCurve


@pytest.mark.parametrize("log_bpp", [False, True])
def test_plots_repeat_their_bytes(
    made_points: list[EvalPoint], tmp_path: Path, log_bpp: bool
) -> None:
    files = []
    literature = PublishedCurve("HNeRV", "psnr_rgb", "protocol", "paper", ((0.1, 36.0),))
    for name in ("a", "b"):
        stem = tmp_path / name
        files.append(
            draw_rd(made_points, stem, anchor="x265", log_bpp=log_bpp, published=[literature])
        )
    (png, svg), (png_again, svg_again) = files
    assert svg.read_bytes() == svg_again.read_bytes()
    assert png.read_bytes() == png_again.read_bytes()
    assert "<dc:date>" not in svg.read_text()
    with Image.open(png) as image:
        assert min(image.size) > 600
        assert len(image.convert("RGB").getcolors(1 << 20)) > 100


def test_published_curves_are_dashed_and_not_in_the_table(
    made_points: list[EvalPoint], tmp_path: Path
) -> None:
    curve = PublishedCurve("HNeRV", "psnr_rgb", "protocol", "paper", ((0.05, 33.0), (0.1, 36.0)))
    _, without = draw_rd(made_points, tmp_path / "a", anchor="x265")
    _, svg = draw_rd(made_points, tmp_path / "b", anchor="x265", published=[curve])
    assert "stroke-dasharray" not in without.read_text()
    assert "stroke-dasharray" in svg.read_text()
    assert "HNeRV (published: paper)" in svg.read_text()  # matplotlib notes the text of its glyphs
    assert svg.read_text().count("BD-rate vs x265 slow") == 1
    assert svg.read_text().count("HNeRV") == 1


def test_all_outputs_are_written(made_folder: Path) -> None:
    points = load_points(made_folder)
    paths = write_outputs(points, made_folder, anchor=default_anchor(points), published=True)
    assert all(path.stat().st_size > 100 for path in paths)
    names = {path.relative_to(made_folder).as_posix() for path in paths}
    plots = {"plots/made.png", "plots/made.svg"}
    assert names == {"points.csv", "bd_rate.md", "report.html", *plots}
    curves = {path.name for path in (made_folder / "compressai" / "made").iterdir()}
    assert curves == {
        f"{n}.json" for n in ("hnerv", "nervpp", "vvenc_slow", "x264_slow", "x265_slow")
    }

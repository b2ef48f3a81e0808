"""Plots and the other files of an evaluation: there, readable, and the same every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from inrcodec.evaluation._outputs import default_anchor, write_outputs
from inrcodec.evaluation._plots import draw_rd
from inrcodec.evaluation._points import EvalPoint, load_points, point_path, save_point
from inrcodec.evaluation._published import PublishedCurve

MakePoint = Callable[..., EvalPoint]


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
    assert "<!-- Published, by another protocol than ours. paper: protocol -->" in svg.read_text()


def test_all_outputs_are_written(made_folder: Path) -> None:
    points = load_points(made_folder)
    written = write_outputs(points, made_folder, anchor=default_anchor(points), published=True)
    paths = written.paths
    assert written.notes == ("there are no published curves of these clips",)
    assert all(path.stat().st_size > 100 for path in paths)
    names = {path.relative_to(made_folder).as_posix() for path in paths}
    plots = {"plots/made.png", "plots/made.svg"}
    assert names == {"points.csv", "bd_rate.md", "report.html", *plots}
    curves = {path.name for path in (made_folder / "compressai" / "made").iterdir()}
    assert curves == {
        f"{n}.json" for n in ("hnerv", "nervpp", "vvenc_slow", "x264_slow", "x265_slow")
    }


def test_the_budget_stands_under_the_plot(made_points: list[EvalPoint], tmp_path: Path) -> None:
    _, svg = draw_rd(made_points, tmp_path / "a", anchor="x265")
    assert "<!-- Fits of ours: 30 epochs each -->" in svg.read_text()


def test_names_are_no_formulas(make_point: MakePoint, tmp_path: Path) -> None:
    """As matplotlib reads `$...$`: an error in savefig, for `a_$` is half an index."""
    points = [
        replace(make_point(codec, bpp), label="clip $b_$", preset=None)
        for codec in ("a$b_$c.mp4", "x$^$.mp4")
        for bpp in (0.05, 0.1)
    ]
    curve = PublishedCurve("$_$", "psnr_rgb", "protocol $_$", "paper $_$", ((0.05, 33.0),))
    _, svg = draw_rd(points, tmp_path / "a", anchor="x$^$.mp4", published=[curve])
    for text in ("a$b_$c.mp4", "BD-rate vs x$^$.mp4", "clip $b_$", "paper $_$: protocol $_$"):
        assert f"<!-- {text} -->" in svg.read_text() or f"{text} -->" in svg.read_text()


def test_an_axis_says_when_lower_is_better(make_point: MakePoint, tmp_path: Path) -> None:
    points = [replace(make_point("x265", 0.1), metrics={"lpips": 0.0123, "psnr_rgb": 30.0})]
    _, svg = draw_rd(points, tmp_path / "a", anchor="x265")
    assert "<!-- LPIPS (lower is better) -->" in svg.read_text()


def test_two_clips_have_a_mean(
    make_point: MakePoint, made_points: list[EvalPoint], made_folder: Path
) -> None:
    more = [replace(p, clip="more", label="more", snapshots={}) for p in made_points]
    more = [p for p in more if p.codec != "x264"]
    for index, point in enumerate(more):
        save_point(point_path(made_folder, "more", str(index)), point)
    written = write_outputs(load_points(made_folder), made_folder, anchor="x265")
    plots = {path.name for path in written.paths if path.parent.name == "plots"}
    assert plots == {
        f"{clip}.{kind}" for clip in ("made", "more", "mean") for kind in ("png", "svg")
    }
    mean = (made_folder / "plots" / "mean.svg").read_text()
    assert "<!-- mean over 2 clips -->" in mean
    assert mean.count("<!-- x264 slow -->") == 1  # no curve, but a row of dashes in the table
    assert mean.count("<!-- vvenc slow -->") == 2


def test_a_curve_looks_the_same_on_every_clip(
    make_point: MakePoint, made_points: list[EvalPoint], tmp_path: Path
) -> None:
    """Though on the second clip it is the first of its kind."""
    alone = [replace(p, clip="alone") for p in made_points if p.codec in ("nervpp", "x265")]
    write_outputs([*made_points, *alone], tmp_path, anchor="x265")
    orange = "#d55e00"
    assert orange in (tmp_path / "plots" / "made.svg").read_text()
    assert orange in (tmp_path / "plots" / "alone.svg").read_text()

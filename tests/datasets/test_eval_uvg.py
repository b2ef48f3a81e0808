"""`inrcodec eval uvg`: a tree of small clips goes the way of the real one, from name to report."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from inrcodec import datasets
from inrcodec.cli import main
from inrcodec.datasets._dataset import Dataset
from inrcodec.evaluation._points import load_points

TITLES = {
    "uvg-beauty": "Beauty",
    "uvg-bosphorus": "Bosphorus",
    "uvg-honeybee": "HoneyBee",
    "uvg-jockey": "Jockey",
    "uvg-readysetgo": "ReadySteadyGo",
    "uvg-shakendry": "ShakeNDry",
    "uvg-yachtride": "YachtRide",
}


@pytest.fixture
def tree(data_folder: Path, small_clips: dict[str, Dataset], small_yuv: bytes) -> dict[str, bytes]:
    """The seven official archives, each unpacked into its own folder: what each clip holds.

    Only their size is made up: `small_clips` sets it in the catalogue, 64x48 and 6 frames.
    """
    contents = {}
    for i, (clip, title) in enumerate(TITLES.items()):
        stem = f"{title}_1920x1080_120fps_420_8bit_YUV"
        folder = data_folder / f"{stem}_RAW"
        folder.mkdir()
        contents[clip] = bytes(value + i if value != 128 else value for value in small_yuv)
        (folder / f"{stem}.yuv").write_bytes(contents[clip])
        (folder / "copyright.txt").write_text("CC BY-NC 3.0")
    return contents


def evaluate(out: Path, *arguments: object) -> int:
    command = ["eval", *arguments, "--out", out, "--metrics", "psnr_rgb,psnr_yuv", "-q"]
    return main([str(argument) for argument in command])


def test_eval_of_the_group_measures_its_seven_clips(
    tree: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--codecs", "x264", "--codec-preset", "x264=ultrafast", "--qualities", "x264=4,35"]
    assert evaluate(out, "uvg", *options) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "14 points" in captured.out

    points = load_points(out)
    assert sorted({point.clip for point in points}) == list(TITLES)
    for point in points:
        assert (point.width, point.height, point.frames, point.fps) == (64, 48, 6, 120)
        assert point.bytes == (out / point.stream).stat().st_size > 0
        assert point.bpp == pytest.approx(8 * point.bytes / (6 * 48 * 64))
        assert len(point.per_frame["psnr_yuv"]) == 6
    for clip, content in tree.items():
        (folder,) = (out / "reference").glob(f"{clip}-*")
        assert (folder / "reference.yuv").read_bytes() == content
        good, poor = (next(p for p in points if (p.clip, p.quality) == (clip, q)) for q in (4, 35))
        assert good.bytes > poor.bytes
        assert good.metrics["psnr_yuv"] > max(40, poor.metrics["psnr_yuv"])
    with (out / "points.csv").open(newline="") as file:
        assert {row["clip"] for row in csv.DictReader(file)} == set(TITLES)
    assert (out / "report.html").is_file()

    assert evaluate(out, "uvg", *options) == 0
    assert len(load_points(out)) == 14


def test_a_clip_of_the_tree_is_fitted_beside_a_reference_codec(
    tree: dict[str, bytes], tmp_path: Path
) -> None:
    options = ["--codecs", "hnerv,x264", "--points", "8", "--epochs", "1", "--device", "cpu"]
    assert evaluate(tmp_path, "uvg/readysetgo", *options, "--qualities", "x264=30") == 0
    ours, reference = sorted(load_points(tmp_path), key=lambda point: point.codec)
    assert (ours.codec, reference.codec) == ("hnerv", "x264")
    assert (ours.clip, ours.fps, ours.frames) == ("uvg-readysetgo", 120, 6)
    assert ours.bytes <= 8 / 8 * 64 * 48 * 6


def test_a_tree_that_lacks_a_clip_says_how_to_get_it(
    tree: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets.path("uvg/jockey").unlink()
    assert evaluate(tmp_path, "uvg", "--codecs", "x264") == 1
    assert "'uvg/jockey' is not on this machine: inrcodec datasets uvg/j" in capsys.readouterr().err

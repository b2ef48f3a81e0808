"""`inrcodec eval` and `inrcodec compare` as a user meets them, with real codecs on a tiny clip."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from inrcodec.cli import main
from inrcodec.evaluation import METRICS, _measure


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_eval_draws_curves_and_is_done_the_second_time(
    tiny_clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    command = ["eval", tiny_clip, "--out", out, "--codecs", "hnerv,x264,x265", "--points", "8,12"]
    command += ["--qualities", "x264=20,30,40", "--qualities", "x265=20,30,40", "--epochs", 1]
    command += ["--codec-preset", "x265=ultrafast", "--metrics", "psnr_rgb,psnr_yuv"]
    status, text, err = run(capsys, *command, "--device", "cpu", "--published", "--log")
    assert (status, err.count("encoded in")) == (0, 8)
    assert "| BD-rate against x265 ultrafast | PSNR RGB | PSNR YUV 6:1:1 |" in text
    assert f"8 points: {out}/points.csv" in text
    assert "--published: there are no published curves of these clips" in text
    assert len(list((out / "points" / "tiny").glob("*.json"))) == 8
    assert (out / "report.html").stat().st_size > 1_000_000
    monkeypatch.setattr(_measure, "measure", None)  # would fail if it were called
    status, _, err = run(capsys, *command, "--device", "cpu")
    assert (status, err) == (0, "8 of 8 points are there already\n")


def test_help_names_every_metric(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(["eval", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"scores: {', '.join(METRICS)} (default psnr_rgb," in text


def test_eval_reports_failed_points(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["eval", tiny_clip, "--out", tmp_path, "--codecs", "x264,x265", "--qualities"]
    command += ["x264=30", "--qualities", "x265=30", "--codec-preset", "x265=nonsense"]
    status, out, err = run(capsys, *command, "--metrics", "psnr_rgb", "-q")
    assert status == 1
    assert err.startswith("inrcodec: tiny: x265 nonsense, 30 CRF/QP: ")
    assert err.count("\n") == 1
    assert "1 points" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codecs", "x266"], "codec 'x266' is unknown"),
        (["--points", "0"], "'0' is no number above 0"),
        (["--qualities", "x264"], "'x264' is not such as x264=22,28,34"),
        (["--codec-preset", "x264"], "is not such as x264=medium"),
        (["--executor", "cloud"], "local or ray"),
        (["--metrics", "psnr"], "unknown metric 'psnr', known: psnr_rgb, "),
        (["--qualities", "x264=30", "--qualities", "x264=40"], "given twice for x264"),
        (["--qualities", "libaom=30"], "libaom, which is not among --codecs"),
        (["--codec-preset", "libaom=4"], "libaom, which is not among --codecs"),
        (["--qualities", "x264=99"], "x264: crf 99 must be a number from 0 to 51"),
        (["--codecs", "x264", "--points", "0.1"], "--points is for networks"),
        (["--codecs", "x264", "--preset", "fast"], "--preset is for networks, and --codecs names"),
        (["--codecs", "x264", "--preset", "fast"], "--codec-preset is for the others"),
        (["--codecs", "x264", "--seed", "0"], "--seed is for networks"),
        (["--codecs", "hnerv", "--gop", "8"], "--gop is for reference codecs"),
        (["--preset", "quick"], "preset is 'quick'"),
        (["--preset", "quick", "--recipe", "muon", "--time", "9s"], "preset is 'quick'"),
        (["--recipe", "secret"], "recipe is 'secret'"),
        (["--device", "tpu"], "device is 'tpu'"),
        (["--anchor", "x265 medium"], "'x265 medium', must be one of hnerv"),
        (["--anchor", "libaom"], "--anchor is 'libaom', must be one of hnerv"),
        (["--video-size", "64x48"], "--video-size is for raw .yuv files"),
        (["--fps", "25"], "go with --video-size"),
        (["--time", "3s", "--epochs", "1"], "not allowed with"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str],
    message: str,
    tiny_clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "eval", tiny_clip, "--out", tmp_path / "out", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_compare_prints_a_table_and_writes_a_page(
    tiny_clip: Path, tiny_inr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    status, out, _ = run(
        capsys, "compare", tiny_clip, tiny_inr, tiny_clip, "--html", page, "--metrics",
        "psnr_rgb,psnr_yuv",
    )  # fmt: skip
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "tiny 64x48, frames 0:6"
    assert " ".join(lines[2].split()) == "video bytes bpp PSNR RGB (dB) PSNR YUV 6:1:1 (dB)"
    assert lines[3].split()[:2] == ["tiny.inr", str(tiny_inr.stat().st_size)]
    assert lines[4].split()[3:] == ["100.00", "100.00"]
    html = page.read_text()
    assert '"name": "tiny.inr"' in html
    assert '"kind": "compare"' in html
    assert '"quality": null' in html


def test_compare_cuts_the_other_like_the_reference(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = ["--metrics", "psnr_rgb", "--json"]
    status, out, _ = run(capsys, "compare", tiny_clip, tiny_clip, "--frames", "1:3", *metrics)
    (record,) = json.loads(out)
    assert status == 0
    assert record["per_frame"]["psnr_rgb"] == [100.0, 100.0]


def test_compare_refuses_what_has_other_frames(
    tiny_clip: Path, segmented_inr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "compare", tiny_clip, segmented_inr, "--metrics", "psnr_rgb")
    assert status == 1
    assert "has 12 frames of 64x48, the reference 6 frames of 64x48" in err
    assert err.count("\n") == 1

"""`inrcodec models` and `inrcodec models NAME` as a user meets them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inrcodec import models
from inrcodec.cli import main

SMALL = ["--size", "160x90", "--frames", "8", "--parameters", "60k", "--device", "cpu"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["models", *arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def inrcodec_models(
    *arguments: str, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "inrcodec", "models", *arguments],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **variables},
        timeout=120,
    )


def test_list_has_a_line_for_each_network(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *SMALL)
    assert (status, err) == (0, "")
    clip, _, head, *lines = out.splitlines()
    assert "60,000 stored values for 8 frames of 160x90" in clip
    assert head.split() == ["name", "parameters", "kMAC/pixel", "frames/s", "arXiv", "paper"]
    assert [line.split()[0] for line in lines] == models.names()
    for line in lines:
        name, parameters, kmac, fps, arxiv = line.split()[:5]
        assert int(parameters.replace(",", "")) == pytest.approx(60_000, rel=0.02)
        assert float(kmac) > 0
        assert float(fps) > 0
        assert arxiv == models.entry(name).arxiv


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--json", "--no-speed")
    rows = json.loads(out)
    assert status == 0
    assert [row["name"] for row in rows] == models.names()
    keys = {"name", "paper", "arxiv", "parameters", "embedding_parameters", "kmac_per_pixel"}
    for row in rows:
        assert set(row) == keys | {"hyper_parameters", "decode_fps", "device"}
        assert row["parameters"] == pytest.approx(1_500_000, rel=0.02)
        assert row["decode_fps"] is None


def test_speed_is_measured_unless_it_is_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "nerv", "--json", *SMALL)
    found = json.loads(out)
    assert found["decode_fps"] > 0
    assert found["device"] == "cpu"
    _, out, _ = run(capsys, "nerv", "--no-speed", *SMALL)
    assert "not measured" in out
    _, out, _ = run(capsys, "--no-speed", *SMALL)
    assert "frames/s on" not in out


def test_networks_that_have_no_such_size_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, *SMALL, "--parameters", "1500", "--no-speed")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[3:]] == models.names()
    assert "smallest possible size" in out
    assert "arXiv" in out
    status, out, err = run(capsys, *SMALL, "--parameters", "10", "--json", "--no-speed")
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "smallest possible size" in err


def test_card_shows_one_network(tmp_path: Path) -> None:
    done = inrcodec_models("hnerv", *SMALL, cwd=tmp_path, PYTHONIOENCODING="utf-8")
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert text.startswith("hnerv\n")
    for words in ("stem", "stages.0", "head", "PixelShuffle", "GELU", "→", "╭", "frames/s"):
        assert words in text
    assert "stored embeddings of" in text
    assert text.rstrip().endswith("100 %")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_other_encodings_are_drawn_in_ascii(
    encoding: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    assert main(["models", "hnerv", "--no-speed", *SMALL]) == 0
    sys.stdout.flush()
    card = written.getvalue()
    assert capsys.readouterr().err == ""
    assert card.isascii()
    assert b"conv 1x1" in card
    assert b"->" in card
    assert b"?" not in card


def test_unknown_name_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "hnerb")
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "did you mean 'hnerv'" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "720"], "'720' is no width and height"),
        (["--frames", "0"], "'0' is no whole number above 0"),
        (["--parameters", "many"], "'many' is no size such as"),
        (["--device", "tpu"], "device is 'tpu'"),
    ],
)
def test_wrong_options(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert words in err

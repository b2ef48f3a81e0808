"""`inrcodec datasets NAME --fetch`: downloads, what is said of them, and failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inrcodec import datasets
from inrcodec.cli import main
from inrcodec.datasets import _fetch
from inrcodec.errors import DatasetError

Fetch = Callable[..., Path]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that is not the usual one."""
    monkeypatch.delenv("INRCODEC_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "root"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were asked for; downloads of some fail."""
    names: list[str] = []

    def fetch(name: str, **options: object) -> Path:
        names.append(name)
        if name in ("uvg/beauty", "uvg/jockey"):
            raise DatasetError(f"https://x/{name}.7z: the server\nsays 404")
        return Path("there")

    monkeypatch.setattr(datasets, "fetch", fetch)
    return names


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["datasets", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_fetch_downloads_what_is_absent_and_shows_it(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(name: str, **options: object) -> Path:
        fetched.append((name, options["root"], options["keep_archive"]))
        progress = options["progress"]
        assert callable(progress)
        progress("download it", 9, 18)
        progress("download it", 18, 18)
        progress("unpack it", 18, 18)
        return root

    monkeypatch.setattr(datasets, "fetch", fetch)
    status, out, err = run(capsys, "uvg", "--fetch", "--root", root)
    assert status == 0
    assert fetched == [(name, str(root), False) for name in datasets.groups()["uvg"]]
    assert "download it" in err
    assert "unpack it" in err
    assert "uvg/jockey" in out
    arguments = ["uvg/jockey", "--fetch", "--keep-archive", "--root", root, "-q"]
    assert run(capsys, *arguments)[2] == ""
    assert fetched[-1] == ("uvg/jockey", str(root), True)


def test_fetch_that_fails_is_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise DatasetError("https://ultravideo.fi/a.7z: the server says 404 Not Found")

    monkeypatch.setattr(_fetch, "download", refuse)
    status, out, err = run(capsys, "uvg/beauty", "--fetch", "--root", root, "-q")
    assert (status, out) == (1, "")
    assert err == "inrcodec: https://ultravideo.fi/a.7z: the server says 404 Not Found\n"


def test_a_clip_that_fails_leaves_the_others_of_its_group(
    fetched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "uvg", "--fetch", "-q")
    assert status == 1
    assert fetched == datasets.groups()["uvg"]
    assert err == (
        "inrcodec: uvg/beauty: https://x/uvg/beauty.7z: the server says 404\n"
        "inrcodec: uvg/jockey: https://x/uvg/jockey.7z: the server says 404\n"
    )
    assert "uvg/yachtride" in out
    status, out, err = run(capsys, "uvg", "--fetch", "--json")
    assert (status, len(json.loads(out))) == (1, 7)
    assert err.startswith("inrcodec: uvg/beauty failed, see below\n")


def test_ctrl_c_stops_the_group(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []

    def fetch(name: str, **options: object) -> Path:
        names.append(name)
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "fetch", fetch)
    assert run(capsys, "uvg", "--fetch") == (130, "", "inrcodec: interrupted\n")
    assert names == ["uvg/beauty"]


def test_after_a_fetch_into_a_root_it_says_how_other_commands_find_it(
    root: Path,
    fetched: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hint = (
        f"inrcodec: encode and eval find what is in {root} "
        f"where the environment variable INRCODEC_DATA is {root}\n"
    )
    assert run(capsys, "uvg", "--fetch", "--root", root)[2].count(hint) == 1
    assert hint not in run(capsys, "uvg", "--fetch")[2]
    assert hint not in run(capsys, "uvg/jockey", "--fetch", "--root", root)[2]  # failed
    monkeypatch.setenv("INRCODEC_DATA", str(root))
    assert hint not in run(capsys, "uvg", "--fetch", "--root", root)[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fetch"], "--fetch takes a NAME"),
        (["uvg", "--keep-archive"], "--keep-archive goes with --fetch"),
        (["--keep-archive"], "--keep-archive goes with --fetch"),
    ],
)
def test_a_wrong_call_is_one_line(
    arguments: list[str], words: str, fetched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert fetched == []

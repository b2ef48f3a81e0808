"""Writing: the whole file or none of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inrcodec.bitstream import write_atomically


@pytest.fixture
def umask() -> Iterator[int]:
    old = os.umask(0o027)
    yield 0o027
    os.umask(old)


def test_writes_the_bytes(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.inr", b"weights")
    assert (tmp_path / "a.inr").read_bytes() == b"weights"
    assert os.listdir(tmp_path) == ["a.inr"]


def test_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.inr"
    path.write_bytes(b"a longer file than the new one")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.inr"]


def test_an_open_reader_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.inr"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"


def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "a.inr", b"")
    assert stat.S_IMODE((tmp_path / "a.inr").stat().st_mode) == 0o666 & ~umask
    current = os.umask(umask)
    assert current == umask


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_alone(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.inr"
    path.write_bytes(b"old")

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.inr"]


def test_a_failure_leaves_nothing_where_nothing_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.inr", b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_a_write_that_fails(tmp_path: Path) -> None:
    # The temporary file is there already when its data turn out to be no bytes.
    with pytest.raises(TypeError, match="bytes-like"):
        write_atomically(tmp_path / "a.inr", "text")  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "a.inr", b"new")
    assert os.listdir(tmp_path) == []

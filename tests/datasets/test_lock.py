"""Two that fetch the same clip: the second waits, then finds it."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import py7zr
import pytest

from inrcodec import datasets
from inrcodec.datasets import _catalogue, _lock
from inrcodec.datasets._dataset import Dataset, SevenZip
from inrcodec.datasets._lock import locked
from inrcodec.errors import DatasetError

if TYPE_CHECKING:
    from conftest import Server

pytest.importorskip("fcntl", reason="the system has no flock")

JOCKEY = "uvg/jockey"
FILE = "Jockey_1920x1080_120fps_420_8bit_YUV.yuv"
HOLDER = """
import pathlib, sys
from inrcodec.datasets._lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def target(
    server: Server,
    small_clips: dict[str, Dataset],
    small_yuv: bytes,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Where the clip is going to be; its archive is on the server."""
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w") as archive:
        archive.writestr(small_yuv, FILE)
    server.files["/jockey.7z"] = stream.getvalue()
    own = replace(datasets.entry(JOCKEY), source=SevenZip(url=server.url("/jockey.7z")))
    monkeypatch.setitem(_catalogue._CATALOGUE, JOCKEY, own)
    folder = data_folder / "uvg"
    folder.mkdir()
    return folder / FILE


def test_the_second_waits_and_finds_what_the_first_has_fetched(
    target: Path, server: Server, small_yuv: bytes
) -> None:
    waits = threading.Event()
    tasks = []

    def progress(task: str, num_bytes: int, total: int) -> None:
        tasks.append(task)
        waits.set()

    with ThreadPoolExecutor() as pool:
        with locked(target):
            second = pool.submit(datasets.fetch, JOCKEY, progress=progress)
            assert waits.wait(10)
            target.write_bytes(small_yuv)
            assert not second.done()
        assert second.result(10) == target
    assert tasks == [f"wait for another process to fetch {JOCKEY}"]
    assert server.requests == []
    assert list(target.parent.iterdir()) == [target]


def test_many_at_once_download_once(target: Path, server: Server, small_yuv: bytes) -> None:
    with ThreadPoolExecutor(6) as pool:
        files = list(pool.map(lambda _: datasets.fetch(JOCKEY), range(6)))
    assert files == [target] * 6
    assert len(server.requests) == 1
    assert target.read_bytes() == small_yuv


def test_another_process_is_waited_for_until_it_is_killed(target: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        waits: list[float] = []

        def progress(task: str, num_bytes: int, total: int) -> None:
            if "wait" in task:
                waits.append(num_bytes)
                holder.kill()

        assert datasets.fetch(JOCKEY, progress=progress) == target
    assert waits == [0]
    assert not list(target.parent.glob("*.lock"))


def test_one_at_a_time_though_the_file_is_removed_each_time(tmp_path: Path) -> None:
    inside, most = 0, 0

    def enter(_: int) -> None:
        nonlocal inside, most
        with locked(tmp_path / "clip"):
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(80)))
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failed_fetch_leaves_no_lock(target: Path, server: Server) -> None:
    server.files.clear()
    with pytest.raises(DatasetError, match="404"):
        datasets.fetch(JOCKEY)
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_takes_no_lock_is_one_line(target: Path) -> None:
    target.with_name(f"{FILE}.lock").mkdir()
    with pytest.raises(DatasetError, match=r"cannot write .*\.lock: Is a directory"):
        datasets.fetch(JOCKEY)


def test_a_file_system_without_locks_is_no_obstacle(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: object, flags: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(_lock.fcntl, "flock", refuse)
    assert datasets.fetch(JOCKEY) == target
    monkeypatch.setattr(_lock, "fcntl", None)
    target.unlink()
    assert datasets.fetch(JOCKEY) == target

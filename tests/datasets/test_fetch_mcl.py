"""`datasets.fetch` of MCL-JCV's zip files: small ones of the same layout."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inrcodec import datasets
from inrcodec.datasets import _catalogue
from inrcodec.datasets._dataset import Dataset, ZipParts
from inrcodec.errors import DatasetError

if TYPE_CHECKING:
    from conftest import Server

MCL = "mcl-jcv/videoSRC05"
MCL_FILE = "videoSRC05_1920x1080_25.yuv"


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


def test_a_coded_version_in_a_zip_file_is_not_taken_for_the_clip(
    serve_mcl: Callable[[dict[str, bytes]], None], small_yuv: bytes, data_folder: Path
) -> None:
    names = ("videoSRC05_1920x1080_25_qp_40.yuv", "a/videoSRC05_1920x1080_25.yuv")
    serve_mcl({"1.zip": zip_file(dict(zip(names, (b"coded", small_yuv), strict=True)))})
    assert datasets.fetch(MCL).read_bytes() == small_yuv


def test_a_member_of_part_of_a_frame_is_refused_before_the_download(
    serve_mcl: Callable[[dict[str, bytes]], None],
    server: Server,
    small_yuv: bytes,
    data_folder: Path,
) -> None:
    serve_mcl({"1.zip": zip_file({MCL_FILE: small_yuv + b"1"})})
    with pytest.raises(DatasetError, match=r"has 27649 bytes, expected frames of 4608 \(64x48 yuv"):
        datasets.fetch(MCL)
    assert not list(data_folder.rglob("*.*"))

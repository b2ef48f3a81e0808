"""Unpacking where the disk is full: the archive is not blamed, and nothing is left."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import py7zr
import pytest

from inrcodec.datasets._remote_zip import inflate
from inrcodec.datasets._seven_zip import unpack_7z
from inrcodec.errors import DatasetError

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs /dev/full, which only Linux has"
)

NAME = "clip.yuv"


def from_7z(content: bytes, folder: Path) -> None:
    archive = folder / "clip.7z"
    with py7zr.SevenZipFile(archive, "w") as opened:
        opened.writestr(content, NAME)
    unpack_7z(archive, folder / NAME, size_bytes=len(content))


def from_zip(content: bytes, folder: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr(NAME, content)
        info = opened.getinfo(NAME)
    part = folder / "clip.deflate"
    part.write_bytes(content)
    inflate(part, folder / NAME, info)


@pytest.mark.parametrize("unpack", [from_7z, from_zip])
# A file's last bytes may reach the disk only when it is closed.
@pytest.mark.parametrize("num_bytes", [100, 3_000_000])
# What cannot be written: the clip, or its SHA-256 beside it.
@pytest.mark.parametrize("full", [f"{NAME}.unpacking", f"{NAME}.sha256"])
def test_a_full_disk_is_not_told_as_damage(
    unpack: Callable[[bytes, Path], None], num_bytes: int, full: str, tmp_path: Path
) -> None:
    content = bytes(range(250)) * (num_bytes // 250) + bytes(num_bytes % 250)
    (tmp_path / full).symlink_to("/dev/full")
    with pytest.raises(DatasetError) as error:
        unpack(content, tmp_path)
    assert str(error.value) == f"cannot write {tmp_path / NAME}: No space left on device"
    assert not list(tmp_path.glob(f"{NAME}*"))
    unpack(content, tmp_path)
    assert (tmp_path / NAME).read_bytes() == content

"""One raw video out of a 7z archive, by py7zr; imported only when there is such an archive.

Nothing is written under a name that the archive chooses: py7zr hands the bytes of the one member
that is wanted to `UnpackedFile`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

import py7zr
from py7zr.io import Py7zIO, WriterFactory

from inrcodec.datasets._unpacked import TargetError, UnpackedFile
from inrcodec.errors import DatasetError

__all__ = ["unpack_7z"]

_ADVICE = "if it is damaged, remove it and fetch it again"


def unpack_7z(
    archive: Path,
    target: Path,
    *,
    size_bytes: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Unpack the one `.yuv` of `size_bytes` that an archive holds.

    Raises:
        DatasetError: the archive is damaged, holds no such file or two of them, or has a member
            that would lie outside the folder it is unpacked in.
        TargetError: the target cannot be written; the archive may be whole.
    """
    try:
        with py7zr.SevenZipFile(archive) as opened:
            member = _wanted_member(opened, size_bytes)
            with UnpackedFile(target, size_bytes, progress) as file:
                opened.extract(targets=[member], factory=_Factory(file))
    except TargetError:
        raise
    except DatasetError as exc:
        raise DatasetError(f"{archive}: {exc}; {_ADVICE}") from exc
    except Exception as exc:  # py7zr meets damage with a dozen kinds of errors
        raise DatasetError(
            f"{archive}: cannot be unpacked: {type(exc).__name__} {exc}; {_ADVICE}"
        ) from exc


def _wanted_member(archive: py7zr.SevenZipFile, size_bytes: int) -> str:
    members = archive.list()
    for member in members:
        if _leads_outside(member.filename):
            raise DatasetError(f"a member is called {member.filename!r}, which leads outside")
    videos = [m for m in members if m.filename.lower().endswith(".yuv") and not m.is_directory]
    wanted = [m.filename for m in videos if m.uncompressed == size_bytes]
    if len(wanted) != 1:
        held = ", ".join(f"{m.filename} of {m.uncompressed} bytes" for m in videos) or "none"
        raise DatasetError(f"expected one .yuv of {size_bytes} bytes, found {held}")
    return wanted[0]


def _leads_outside(name: str) -> bool:
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.is_absolute() or path.drive or ".." in path.parts:
            return True
    return False


class _Writer(Py7zIO):
    """What py7zr writes a member to."""

    def __init__(self, file: UnpackedFile) -> None:
        self.file = file

    def write(self, s: bytes | bytearray) -> int:
        return self.file.write(s)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return self.file.num_bytes


class _Factory(WriterFactory):
    """Gives py7zr the same writer whatever the member is called."""

    def __init__(self, file: UnpackedFile) -> None:
        self.file = file

    def create(self, filename: str) -> Py7zIO:
        return _Writer(self.file)

"""One member out of the zip files on a server, without downloading the others.

A zip file's directory is at its end: a few kilobytes of each file, fetched as ranges, say which one
holds the member and where; then `download` fetches those bytes alone, and they are inflated here.
"""

from __future__ import annotations

import functools
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from inrcodec.datasets._dataset import ZipParts
from inrcodec.datasets._download import Piece
from inrcodec.datasets._http import read_all, read_range
from inrcodec.datasets._unpacked import TargetError, UnpackedFile
from inrcodec.errors import DatasetError

__all__ = ["ZipMember", "find_member", "inflate"]

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature ... length of name, length of extra field
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class ZipMember:
    """A member of a zip file on a server."""

    url: str  # of the zip file
    info: zipfile.ZipInfo

    def piece(self) -> Piece:
        """The member's compressed bytes.

        Raises:
            DatasetError: they cannot be found or are of no kind that can be read.
        """
        if self.info.flag_bits & _ENCRYPTED or self.info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise DatasetError(
                f"{self.url}: {self.info.filename} is encrypted or compressed by method "
                f"{self.info.compress_type}, expected deflate"
            )
        start = self.info.header_offset
        header, _ = read_range(self.url, start, start + _LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise DatasetError(f"{self.url}: no member at byte {start}")
        _, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        return Piece(
            url=self.url,
            first_byte=start + _LOCAL_HEADER.size + name_bytes + extra_bytes,
            num_bytes=self.info.compress_size,
        )


def find_member(parts: ZipParts) -> ZipMember:
    """The member that a clip is.

    Raises:
        DatasetError: the listing or the zip files cannot be read, or none or several match.
    """
    found = [m for m in _members(parts.listing_url, parts.files_url) if _matches(m, parts.member)]
    if len(found) != 1:
        names = ", ".join(member.info.filename for member in found[:3]) or "none"
        raise DatasetError(
            f"{parts.listing_url}: expected one file {parts.member} in the zip files, found {names}"
        )
    return found[0]


def inflate(
    compressed: Path,
    target: Path,
    info: zipfile.ZipInfo,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Inflate a member's compressed bytes, and check size and CRC-32.

    Raises:
        DatasetError: they are damaged.
        TargetError: the target cannot be written; they may be whole.
    """
    deflated = info.compress_type == zipfile.ZIP_DEFLATED
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    crc = 0
    try:
        with compressed.open("rb") as stream, UnpackedFile(target, info.file_size, progress) as out:
            while chunk := stream.read(_CHUNK_BYTES):
                while chunk:
                    data = inflater.decompress(chunk, _CHUNK_BYTES) if deflated else chunk
                    crc = zlib.crc32(data, crc)
                    out.write(data)
                    chunk = inflater.unconsumed_tail if deflated else b""
            data = inflater.flush() if deflated else b""
            crc = zlib.crc32(data, crc)
            out.write(data)
            if crc != info.CRC:
                raise DatasetError(f"CRC-32 {crc:08x}, expected {info.CRC:08x}")
    except TargetError:
        raise
    except (DatasetError, OSError, zlib.error) as exc:
        advice = "if it is damaged, remove it and fetch it again"
        raise DatasetError(f"{compressed}: cannot be unpacked: {exc}; {advice}") from exc


@functools.lru_cache(maxsize=1)
def _members(listing_url: str, files_url: str) -> tuple[ZipMember, ...]:
    """All members of all zip files of a listing; kept, since the clips of a group share it."""
    try:
        paths = [item["path"] for item in json.loads(read_all(listing_url))]
        urls = [files_url + quote(path) for path in paths if path.lower().endswith(".zip")]
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise DatasetError(f"{listing_url}: no list of files: {exc!r}") from exc
    return tuple(ZipMember(url, info) for url in urls for info in _directory(url))


def _directory(url: str) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BufferedReader(_RemoteFile(url))) as opened:
            return opened.infolist()
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError) as exc:
        raise DatasetError(f"{url}: not a zip file that can be read: {exc}") from exc


def _matches(member: ZipMember, pattern: str) -> bool:
    return re.fullmatch(pattern, member.info.filename) is not None


class _RemoteFile(io.RawIOBase):
    """A file on a server, read by ranges."""

    def __init__(self, url: str) -> None:
        self.url = url
        _, self.num_bytes = read_range(url, 0, 1)
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.num_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"{self.url}: no byte {start + offset}")
        self.position = start + offset
        return self.position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        stop = min(self.position + len(buffer), self.num_bytes)
        if stop <= self.position:
            return 0
        data, _ = read_range(self.url, self.position, stop)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

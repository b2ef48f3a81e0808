"""Download a file: resumed after a break, checked by size, there under its name when complete.

What has come so far is in `NAME.part`, with the server's tag of that version in `NAME.part.tag`, so
that the two halves of a resumed file are of one version.
"""

from __future__ import annotations

import http.client
import os
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inrcodec.datasets._folders import check_free_space
from inrcodec.datasets._http import content_range, open_url, with_retries
from inrcodec.errors import DatasetError

__all__ = ["Piece", "Progress", "download"]

# What is being done, bytes so far, bytes in all.
Progress = Callable[[str, int, int], None]

_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A file on a server, or the part of one that starts at `first_byte`."""

    url: str
    num_bytes: int | None = None  # expected; None where it is not known, for whole files only
    first_byte: int | None = None  # None for a whole file


def download(
    piece: Piece, target: Path, *, spare_bytes: int = 0, progress: Progress | None = None
) -> None:
    """Download a file into an existing folder.

    Args:
        piece: what to download.
        target: the file to write.
        spare_bytes: how many must be free on the disk beyond the download.
        progress: told of every chunk.

    Raises:
        DatasetError: it cannot be had, is of another size than expected, or there is no room. What
            has come so far stays, and the next call goes on from there.
    """
    part = target.with_name(f"{target.name}.part")
    rest = _Rest(piece, part, spare_bytes, progress)
    if piece.num_bytes is None or rest.num_bytes_here() != piece.num_bytes:
        with_retries(rest.fetch, piece.url, bytes_so_far=rest.num_bytes_here)
    with _local_errors(target):
        os.replace(part, target)
        rest.tag.unlink(missing_ok=True)


class _Rest:
    """What a `.part` file still lacks."""

    def __init__(
        self, piece: Piece, part: Path, spare_bytes: int, progress: Progress | None
    ) -> None:
        self.piece, self.part, self.spare_bytes = piece, part, spare_bytes
        self.tag = part.with_name(f"{part.name}.tag")
        self.progress = progress

    def num_bytes_here(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def fetch(self) -> None:
        """Ask for the rest and append it.

        Raises:
            OSError, HTTPException: the connection broke; what came is kept.
            DatasetError: another try would not help.
        """
        start = self.num_bytes_here()
        if self.piece.num_bytes is not None and start > self.piece.num_bytes:
            self._forget()
            start = 0
        try:
            response = open_url(self.piece.url, headers=self._headers(start))
        except urllib.error.HTTPError as exc:
            if exc.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
                raise
            exc.close()
            if exc.headers["Content-Range"] == f"bytes */{start}" and self._is_whole(start):
                return  # complete, but the program ended before it was renamed
            self._forget()
            raise ConnectionError("the file on the server has become shorter") from exc
        with response:
            start, total = self._plan(response, start)
            self._check_room(total - start)
            self._append(response, start, total)

    def _headers(self, start: int) -> dict[str, str]:
        first = (self.piece.first_byte or 0) + start
        if self.piece.first_byte is not None and self.piece.num_bytes is not None:
            last = str(self.piece.first_byte + self.piece.num_bytes - 1)
        elif start:
            last = ""
        else:
            return {}
        headers = {"Range": f"bytes={first}-{last}"}
        if start and self.tag.is_file():
            headers["If-Range"] = self.tag.read_text(encoding="latin-1")
        return headers

    def _is_whole(self, num_bytes: int) -> bool:
        expected = self.piece.num_bytes
        return self.piece.first_byte is None and expected in (None, num_bytes)

    def _plan(self, response: http.client.HTTPResponse, start: int) -> tuple[int, int]:
        """From which byte of the `.part` file the response goes on, and its size when complete."""
        url, expected = self.piece.url, self.piece.num_bytes
        first, size = content_range(response)
        offset = self.piece.first_byte or 0
        if first is None and offset and start:
            self._forget()
            raise ConnectionError("the file on the server has changed")
        if first is None and offset:
            raise DatasetError(f"{url}: the server does not send parts of files")
        if first not in (None, offset + start):
            self._forget()
            raise ConnectionError(f"byte {first} sent, byte {offset + start} asked for")
        if self.piece.first_byte is None:
            if size is None:
                raise DatasetError(f"{url}: the server does not say how long the file is")
            if expected not in (None, size):
                raise DatasetError(f"{url}: has {size} bytes, expected {expected}")
            expected = size
        if expected is None:
            raise ValueError("a part of a file needs its number of bytes")
        if first is None:
            self._forget()  # the whole file comes: no ranges here, or a new version
            start = 0
        if start == 0:
            self._remember(response)
        return start, expected

    def _remember(self, response: http.client.HTTPResponse) -> None:
        """Keep what tells this version of the file from others; weak tags cannot resume."""
        etag = response.headers["ETag"] or "W/"
        tag = response.headers["Last-Modified"] if etag.startswith("W/") else etag
        with _local_errors(self.tag):
            if tag:
                self.tag.write_text(tag, encoding="latin-1")
            else:
                self.tag.unlink(missing_ok=True)

    def _forget(self) -> None:
        with _local_errors(self.part):
            self.part.unlink(missing_ok=True)
            self.tag.unlink(missing_ok=True)

    def _check_room(self, num_bytes: int) -> None:
        check_free_space(self.part.parent, num_bytes + self.spare_bytes)

    def _append(self, response: http.client.HTTPResponse, start: int, total: int) -> None:
        with _local_errors(self.part):
            file = self.part.open("ab")
        with file:
            done = start
            while done < total:
                chunk = response.read(min(_CHUNK_BYTES, total - done))
                if not chunk:
                    raise ConnectionError(f"closed after {done} of {total} bytes")
                with _local_errors(self.part):
                    file.write(chunk)
                    file.flush()
                done += len(chunk)
                if self.progress:
                    self.progress(f"download {self.part.stem}", done, total)


@contextmanager
def _local_errors(file: Path) -> Iterator[None]:
    """Tells the disk's errors from the connection's, which are worth another try."""
    try:
        yield
    except OSError as exc:
        raise DatasetError(f"cannot write {file}: {exc.strerror or exc}") from exc

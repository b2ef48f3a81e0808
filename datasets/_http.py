"""HTTP as downloads need it: safe addresses only, parts of files, another try after a break."""

from __future__ import annotations

import http.client
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import IO, TypeVar
from urllib.parse import urlsplit

from inrcodec.errors import DatasetError

__all__ = ["content_range", "open_url", "read_all", "read_range", "with_retries"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

ATTEMPTS = 6  # in a row without a new byte
PAUSE_SECONDS = 1.0  # after the first; doubled each time
_TIMEOUT_SECONDS = 30.0
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_MAX_PAGE_BYTES = 16 << 20


def open_url(url: str, *, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """Open an address; https only, but for this machine's own servers.

    Raises:
        DatasetError: the address, or one that it leads to, is no such address.
        OSError, http.client.HTTPException: it cannot be opened.
    """
    _check_address(url)
    request = urllib.request.Request(
        url, headers={"User-Agent": "inrcodec", "Accept-Encoding": "identity", **(headers or {})}
    )
    opener = urllib.request.build_opener(_SafeRedirects)
    response: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return response


def read_all(url: str) -> bytes:
    """The content of a small file.

    Raises:
        DatasetError: it cannot be had, or is larger than 16 MiB.
    """

    def read() -> bytes:
        with open_url(url) as response:
            return response.read(_MAX_PAGE_BYTES + 1)

    content = with_retries(read, url)
    if len(content) > _MAX_PAGE_BYTES:
        raise DatasetError(f"{url}: more than {_MAX_PAGE_BYTES} bytes, expected a short list")
    return content


def read_range(url: str, start: int, stop: int) -> tuple[bytes, int]:
    """Bytes `start` to `stop - 1` of a file on a server, and the size of the whole file.

    Raises:
        DatasetError: they cannot be had, or the server sends whole files only.
    """

    def read() -> tuple[bytes, int]:
        with open_url(url, headers={"Range": f"bytes={start}-{stop - 1}"}) as response:
            first, total = content_range(response)
            if first != start or total is None:
                raise DatasetError(f"{url}: the server does not send parts of files")
            content = response.read(stop - start)
            if len(content) < min(stop, total) - start:
                raise ConnectionError(f"closed after {len(content)} bytes")
            return content, total

    return with_retries(read, url)


def content_range(response: http.client.HTTPResponse) -> tuple[int | None, int | None]:
    """The first byte that a response sends, None where it sends the whole; the file's size."""
    try:
        if response.status == http.client.PARTIAL_CONTENT:
            unit, _, rest = (response.headers["Content-Range"] or "").partition(" ")
            interval, _, total = rest.partition("/")
            if unit == "bytes":
                return int(interval.partition("-")[0]), None if total == "*" else int(total)
            raise ValueError(unit)
        length = response.headers["Content-Length"]
        return None, None if length is None else int(length)
    except ValueError as exc:
        raise http.client.HTTPException("headers that cannot be read") from exc


def with_retries(action: Callable[[], T], url: str, *, bytes_so_far: Callable[[], int] = int) -> T:
    """The result of `action`, tried again, after longer and longer pauses, when it breaks.

    Args:
        action: raises OSError or HTTPException when a connection breaks.
        url: named in errors.
        bytes_so_far: as long as it grows from one try to the next, there is another.

    Raises:
        DatasetError: the server refuses, or the connection broke too often.
    """
    attempt, before = 0, bytes_so_far()
    while True:
        try:
            return action()
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code not in _TRY_AGAIN:
                raise DatasetError(f"{url}: the server says {exc.code} {exc.reason}") from exc
            error: Exception = exc
        except (OSError, http.client.HTTPException) as exc:
            error = exc
        now = bytes_so_far()
        attempt, before = (1, now) if now > before else (attempt + 1, before)
        if attempt >= ATTEMPTS:
            reason = getattr(error, "reason", None) or error
            kept = f"; {now} bytes are kept, the same call goes on from there" if now else ""
            raise DatasetError(f"{url}: {reason} (tried {attempt} times){kept}") from error
        pause = PAUSE_SECONDS * 2 ** (attempt - 1)
        _log.info("%s: %s; another try in %g s", url, error, pause)
        time.sleep(pause)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect to an address that would not be opened, or from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        if urlsplit(req.full_url).scheme == "https" and urlsplit(newurl).scheme != "https":
            raise DatasetError(f"{req.full_url}: leads to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    is_own = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
    if not (is_own or (parts.scheme == "https" and parts.hostname)):
        raise DatasetError(f"{url}: only https addresses are opened")

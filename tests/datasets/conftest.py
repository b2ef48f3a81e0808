"""A server on this machine that breaks as servers far away do, and clips small enough to fetch."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from inrcodec import datasets
from inrcodec.datasets import _catalogue, _http, _remote_zip
from inrcodec.datasets._dataset import Dataset

WIDTH, HEIGHT, NUM_FRAMES = 64, 48, 6


class Server(ThreadingHTTPServer):
    """Serves `files`; what goes wrong is set by a test, one item a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.has_ranges = True
        self.has_length = True
        self.statuses: list[int] = []  # 0: as usual
        self.cuts: list[int | None] = []  # bytes of the body after which the connection is closed
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []  # path, Range

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is no event."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 0
        if self.path in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[self.path])
            self.end_headers()
        elif status:
            self.send_error(status)
        elif unquote(self.path) not in self.server.files:
            self.send_error(404)
        else:
            self._send(self.server.files[unquote(self.path)])

    def _send(self, content: bytes) -> None:
        tag = f'"{zlib.crc32(content)}"'
        first, stop = 0, len(content)
        wants_part = self.headers["Range"] and self.headers["If-Range"] in (None, tag)
        if wants_part and self.server.has_ranges:
            begin, _, end = self.headers["Range"].removeprefix("bytes=").partition("-")
            first, stop = int(begin), min(int(end or stop) + 1, stop)
            if first >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{len(content)}")
        else:
            self.send_response(200)
        if self.server.has_length:
            self.send_header("Content-Length", str(stop - first))
        self.send_header("ETag", tag)
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(content[first:stop][:cut])

    def log_message(self, *arguments: object) -> None:
        """Tests read `requests`."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; retries do not pause."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_http, "PAUSE_SECONDS", 0.0)
    _remote_zip._members.cache_clear()
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that INRCODEC_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("INRCODEC_DATA", str(folder))
    return folder


@pytest.fixture
def small_clips(monkeypatch: pytest.MonkeyPatch) -> dict[str, Dataset]:
    """The catalogue, its raw clips shrunk to 64x48 and 6 frames; all else is as it was."""
    for name in datasets.names():
        found = datasets.entry(name)
        if found.raw:
            size = None if found.size_bytes is None else WIDTH * HEIGHT * 3 // 2 * NUM_FRAMES
            small = replace(
                found, width=WIDTH, height=HEIGHT, num_frames=NUM_FRAMES, size_bytes=size
            )
            monkeypatch.setitem(_catalogue._CATALOGUE, name, small)
    return _catalogue._CATALOGUE


@pytest.fixture
def small_yuv() -> bytes:
    """Six 64x48 frames, 8-bit 4:2:0: a pattern that moves."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grey = np.full(HEIGHT * WIDTH // 2, 128, np.uint8).tobytes()
    lumas = [128 + 60 * np.sin((x + 3 * i) / 9) + 40 * np.cos(y / 7) for i in range(NUM_FRAMES)]
    return b"".join(luma.astype(np.uint8).tobytes() + grey for luma in lumas)

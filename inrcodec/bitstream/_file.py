"""A whole `.inr` file: written at once and renamed into place; read section by section.

Layout: preamble, HEAD, INDX (the length of every section after it), one SEGM a segment, one AUDI
an audio stream. Nothing else, and nothing after. A reader seeks to the sections it needs.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import struct
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from inrcodec._output import replaced_file
from inrcodec.bitstream import _sections as sections
from inrcodec.bitstream._deflated import MAX_HEADER_BYTES
from inrcodec.bitstream._header import Header
from inrcodec.errors import BitstreamError

_INDEX_ENTRY_BYTES = 4


def file_bytes(header: Header, segments: Sequence[bytes], audio: Sequence[bytes] = ()) -> bytes:
    """Return the bytes of a whole file from the payloads of its sections."""
    payloads = [*segments, *audio]
    index = struct.pack(f"<{len(payloads)}I", *(len(payload) for payload in payloads))
    parts = [sections.preamble(), sections.frame(sections.HEADER, header.to_bytes())]
    parts.append(sections.frame(sections.INDEX, index))
    parts += [sections.frame(sections.SEGMENT, payload) for payload in segments]
    parts += [sections.frame(sections.AUDIO, payload) for payload in audio]
    return b"".join(parts)


def section_bytes(length: int) -> int:
    """Return what a payload of `length` bytes adds to a file: with framing and index entry."""
    return length + sections.FRAME_BYTES + _INDEX_ENTRY_BYTES


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to a temporary file beside `path` and rename it: never half a file.

    A link keeps pointing at what it points at; its file is replaced.

    Raises:
        VideoError: `path` is there and is no regular file.
    """
    target = replaced_file(path)
    temporary = target.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class InrFile:
    """An open `.inr` file; use it as a context manager.

    `version` and `header` are read and checked at once; segments and audio when asked for.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        BitstreamError: the file is damaged, truncated or no `.inr` file.
    """

    def __init__(self, source: str | Path | bytes) -> None:
        self._file: BinaryIO
        if isinstance(source, bytes):
            self._file, self.name = io.BytesIO(source), "<bytes>"
        else:
            self._file, self.name = io.BufferedReader(io.FileIO(source)), str(source)
        # Closed also when the last reference goes: a decoder is often used without `with`.
        self._closer = weakref.finalize(self, self._file.close)
        try:
            self.num_bytes = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            self._read_front()
        except BitstreamError as exc:
            self.close()
            raise BitstreamError(f"{self.name}: {exc}") from exc

    def segment(self, index: int, *, max_bytes: int | None = None) -> bytes:
        """Return the payload of segment `index`'s section, checked; a longer one is not read."""
        length = self._lengths[index]
        if max_bytes is not None and length > max_bytes:
            raise BitstreamError(
                f"{self.name}: segment {index} has {length} bytes, must have <= {max_bytes}"
            )
        return self._section(sections.SEGMENT, index, length)

    def audio(self, index: int) -> bytes:
        """Return the payload of audio stream `index`'s section, checked."""
        at = len(self.header.segments) + index
        return self._section(sections.AUDIO, at, self._lengths[at])

    @property
    def audio_bytes(self) -> int:
        """Bytes of the file that are audio: its sections and their entries in the index."""
        return sum(section_bytes(length) for length in self._lengths[len(self.header.segments) :])

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the bytes, framing apart, of the parts in file order."""
        yield "header", self._header_bytes
        yield "index", _INDEX_ENTRY_BYTES * len(self._lengths)
        num_segments = len(self.header.segments)
        for i, length in enumerate(self._lengths):
            yield ("segment" if i < num_segments else "audio"), length
        yield "framing", sections.PREAMBLE_BYTES + sections.FRAME_BYTES * (2 + len(self._lengths))

    def close(self) -> None:
        """Close the file."""
        self._closer()

    def __enter__(self) -> InrFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_front(self) -> None:
        file = self._file
        self.version = sections.read_preamble(file)
        data = sections.read_section(file, sections.HEADER, max_bytes=MAX_HEADER_BYTES)
        self.header = Header.from_bytes(data, version=self.version)
        self._header_bytes = len(data)
        count = len(self.header.segments) + self.header.num_audio_streams
        length = _INDEX_ENTRY_BYTES * count
        index = sections.read_section(file, sections.INDEX, max_bytes=length)
        if len(index) != length:
            raise BitstreamError(f"index has {len(index)} bytes, must have {length}")
        self._lengths = struct.unpack(f"<{count}I", index)
        self._offsets = []
        offset = file.tell()
        for length in self._lengths:
            self._offsets.append(offset)
            offset += length + sections.FRAME_BYTES
        if offset != self.num_bytes:
            raise BitstreamError(f"file has {self.num_bytes} bytes, its index says {offset}")

    def _section(self, kind: bytes, at: int, length: int) -> bytes:
        try:
            file = io.BytesIO(self._bytes_at(self._offsets[at], length + sections.FRAME_BYTES))
            payload = sections.read_section(file, kind, max_bytes=length)
            if len(payload) != length:
                raise BitstreamError(f"section has {len(payload)} bytes, the index says {length}")
        except BitstreamError as exc:
            raise BitstreamError(f"{self.name}: {exc}") from exc
        return payload

    def _bytes_at(self, offset: int, count: int) -> bytes:
        """Return bytes of the file without moving it: threads and forked processes share that."""
        if isinstance(self._file, io.BytesIO):
            return self._file.getbuffer()[offset : offset + count].tobytes()
        parts = []  # a call reads 2 GiB at most
        while count and (part := os.pread(self._file.fileno(), count, offset)):
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return b"".join(parts)

"""A file being unpacked or made: of the promised size or not there at all, its SHA-256 recorded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from inrcodec.errors import DatasetError

__all__ = ["TargetError", "UnpackedFile", "recorded_sha256"]


class TargetError(DatasetError):
    """The disk's refusal of an unpacked file, which says nothing about the archive."""


class UnpackedFile:
    """Takes the bytes of a file that an archive holds, or that is computed.

    Use it in a `with` block: on leaving it, the file stands under its name with its SHA-256 beside
    it, as `sha256sum --check` reads it; after an error nothing is left.

    Args:
        target: the file to write.
        size_bytes: which it must have; more are refused when they come.
        progress: told of every chunk: bytes so far, bytes in all.
        is_recorded: whether its SHA-256 is left beside it, as where nobody else states one.

    Raises:
        DatasetError: it has another size.
        TargetError: it cannot be written.
    """

    def __init__(
        self,
        target: Path,
        size_bytes: int,
        progress: Callable[[int, int], None] | None = None,
        *,
        is_recorded: bool = True,
    ) -> None:
        self.target, self.size_bytes, self.progress = target, size_bytes, progress
        self.is_recorded = is_recorded
        self.num_bytes = 0
        self._draft = target.with_name(f"{target.name}.unpacking")
        self._digest = hashlib.sha256()

    def __enter__(self) -> UnpackedFile:
        try:
            self._file = self._draft.open("wb")
        except OSError as exc:
            raise self._target_error(exc) from exc
        return self

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; returns their number."""
        self.num_bytes += len(data)
        if self.num_bytes > self.size_bytes:
            raise DatasetError(f"{self.target.name}: longer than the {self.size_bytes} promised")
        try:
            self._file.write(data)
        except OSError as exc:
            raise self._target_error(exc) from exc
        self._digest.update(data)
        if self.progress:
            self.progress(self.num_bytes, self.size_bytes)
        return len(data)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
            if exc is None:
                self._finish()
        except OSError as error:
            raise self._target_error(error) from error
        finally:
            self._draft.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self.num_bytes != self.size_bytes:
            raise DatasetError(
                f"{self.target.name}: {self.num_bytes} bytes unpacked, expected {self.size_bytes}"
            )
        record = _record_of(self.target)
        try:
            if self.is_recorded:  # first, since a disk may be too full for it too
                line = f"{self._digest.hexdigest()}  {self.target.name}\n"
                record.write_text(line, encoding="utf-8")
            os.replace(self._draft, self.target)
        except OSError:
            record.unlink(missing_ok=True)
            raise

    def _target_error(self, exc: OSError) -> TargetError:
        return TargetError(f"cannot write {self.target}: {exc.strerror}")


def recorded_sha256(file: Path) -> str | None:
    """The SHA-256 that a file had when it was unpacked, None where none is recorded."""
    try:
        words = _record_of(file).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0] if words else None


def _record_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")

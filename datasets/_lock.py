"""One process at a time fetches a clip: the others wait, then find it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from inrcodec.errors import DatasetError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["locked"]


@contextmanager
def locked(target: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold `TARGET.lock`, which the system frees too when the process is killed.

    Where the system or the file system has no such locks, nobody waits.

    Args:
        target: the file to write, in an existing folder.
        waiting: called when another process has the lock.

    Raises:
        DatasetError: the lock's file cannot be written.
    """
    file = target.with_name(f"{target.name}.lock")
    try:
        handle = _acquire(file, waiting)
    except OSError as exc:
        raise DatasetError(f"cannot write {file}: {exc.strerror}") from exc
    try:
        yield
    finally:
        if fcntl is not None:  # elsewhere another process may have the file open
            file.unlink(missing_ok=True)
        handle.close()


def _acquire(file: Path, waiting: Callable[[], None] | None) -> IO[bytes]:
    while True:
        handle = file.open("ab")
        try:
            _wait(handle, waiting)
            if _is_still(handle, file):
                return handle
        except BaseException:
            handle.close()
            raise
        handle.close()  # of a file that its last holder has removed


def _wait(handle: IO[bytes], waiting: Callable[[], None] | None) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting:
            waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return


def _is_still(handle: IO[bytes], file: Path) -> bool:
    """Whether the file has the name that it was opened by."""
    try:
        return os.path.samestat(os.fstat(handle.fileno()), file.stat())
    except FileNotFoundError:
        return False

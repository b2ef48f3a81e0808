"""One evaluation at a time in a folder: two would take each other's records and files for theirs.

In: the folder. Out: a lock for the length of a block. The system gives it back when the process
ends, however it ends; the file `.lock` itself stays and says nothing.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inrcodec.errors import EvaluationError

_FILE = ".lock"
_held: set[tuple[Path, int]] = set()  # with the thread, which may lock again what it holds


@contextmanager
def folder_lock(out: Path) -> Iterator[None]:
    """Hold `out`, which is made where it is missing.

    Raises:
        EvaluationError: another process holds it, or it cannot be locked.
    """
    mine = out.resolve(), threading.get_ident()
    if mine in _held:
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / _FILE).open("ab")
    except OSError as exc:
        raise EvaluationError(f"{out}: cannot be written to: {exc.strerror}") from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EvaluationError(
                f"{out}: another inrcodec eval is at work in this folder; "
                "wait for its end, or choose another --out"
            ) from None
        except OSError as exc:
            raise EvaluationError(f"{out}: cannot be locked: {exc.strerror}") from exc
        _held.add(mine)
        try:
            yield
        finally:
            _held.discard(mine)

"""A folder for what is being written: nothing half-written is left by an error or by Ctrl-C."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inrcodec.errors import CodecError


@contextmanager
def part_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder in `folder`, which is made where it is missing; removed on leaving.

    What is to stay, the caller moves out of it.

    Raises:
        CodecError: it cannot be made, or what is done in it fails as files fail: a full disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=folder) as part:
            yield Path(part)
    except OSError as exc:
        raise CodecError(f"{folder}: cannot be written to: {exc.strerror}") from exc

"""A file that is to be written: which one it is, and whether it may be replaced."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from inrcodec.errors import VideoError


def replaced_file(path: Path) -> Path:
    """Return the file that an output at `path` replaces: of a link, what it points at.

    Raises:
        VideoError: `path` is there and is no regular file, but a device, a pipe or a folder.
    """
    if path.exists() and not path.is_file():
        raise VideoError(f"{path}: is there already and is no regular file")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def probe_folder(path: Path) -> None:
    """Make a file beside `path`, and remove it: hours may go into what is written there.

    Raises:
        OSError: no file can be made.
    """
    with tempfile.TemporaryFile(dir=path.parent):
        pass

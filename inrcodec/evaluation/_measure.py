"""Measuring one point: encode, decode what was written, score it, keep a few frames.

In: a `PointJob`. Out: its `EvalPoint`. Our fits are made by `inrcodec.encode`, so that an
interrupted one goes on from its checkpoint; decoded frames lie on disk only while they are scored.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inrcodec._encode import encode
from inrcodec._provenance import commit, num_cores, processor_name, software_versions
from inrcodec._session import checkpoint_path
from inrcodec.bitstream import write_atomically
from inrcodec.errors import CheckpointError
from inrcodec.evaluation._decode_inr import decode_inr
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._points import EvalPoint, clip_folder
from inrcodec.evaluation._reference import RawFrames
from inrcodec.evaluation._scores import score
from inrcodec.evaluation._snapshots import save_snapshots
from inrcodec.evaluation.codecs import CODECS, ffmpeg_version

DECODED_PREFIX = ".decoded-"  # then the process, of folders that do not outlive their point


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A coded clip and what decodes from it."""

    num_bytes: int
    encode_seconds: float
    decode_seconds: float
    stream: Path
    rgb: RawFrames
    yuv: RawFrames | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # members of EvalPoint that only ours have


def measure(job: PointJob, *, progress: bool = False) -> EvalPoint:
    """Measure one point.

    Raises:
        InrcodecError: the encode, the decode or a score failed.
        Interrupted: Ctrl-C during a fit, whose checkpoint is kept.
    """
    with tempfile.TemporaryDirectory(
        prefix=f"{DECODED_PREFIX}{os.getpid()}-", dir=job.out
    ) as folder:
        if job.kind == "inr":
            coded = _code_inr(job, Path(folder), progress=progress)
        else:
            coded = _code_reference(job, Path(folder))
        per_frame = score(job.reference, coded.rgb, coded.yuv, metrics=job.options.metrics)
        snapshots = save_snapshots(coded.rgb, job.out, job.reference.name, job.stem)
    return _point(job, coded, per_frame, snapshots)


def _point(
    job: PointJob, coded: Coded, per_frame: dict[str, list[float]], snapshots: dict[str, str]
) -> EvalPoint:
    video = job.reference.rgb
    facts = {
        "preset": job.detail if job.kind == "reference" else job.options.preset,
        "model": None,
        "recipe": None,
        "device": f"{processor_name()}, {num_cores()} cores",
        "versions": {**software_versions(), "ffmpeg": ffmpeg_version()},
        **coded.facts,
    }
    return EvalPoint(
        clip=job.reference.name,
        label=job.reference.label,
        width=video.width,
        height=video.height,
        frames=video.num_frames,
        fps=float(job.reference.fps),
        codec=job.codec,
        kind=job.kind,
        quality=job.quality,
        bytes=coded.num_bytes,
        bpp=8 * coded.num_bytes / (video.num_frames * video.width * video.height),
        encode_seconds=coded.encode_seconds,
        decode_seconds=coded.decode_seconds,
        metrics={name: sum(values) / len(values) for name, values in per_frame.items() if values},
        per_frame={
            name: [round(v, 5) for v in values] for name, values in per_frame.items() if values
        },
        commit=commit(),
        stream=coded.stream.relative_to(job.out).as_posix(),
        snapshots=snapshots,
        settings=job.settings,
        **facts,
    )


def _stream_folder(job: PointJob) -> Path:
    folder = job.out / "streams" / clip_folder(job.reference.name) / job.stem
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _code_reference(job: PointJob, decoded: Path) -> Coded:
    codec = CODECS[job.codec]
    point = codec.encode(
        job.reference,
        job.quality,
        preset=job.settings["preset"],
        tune_psnr=job.settings["tune_psnr"],
        folder=_stream_folder(job),
    )
    start = time.perf_counter()
    rgb, yuv = codec.decode(point, job.reference, decoded)
    seconds = point.decode_seconds or time.perf_counter() - start
    return Coded(
        num_bytes=point.num_bytes,
        encode_seconds=point.encode_seconds,
        decode_seconds=seconds,
        stream=point.stream,
        rgb=rgb,
        yuv=yuv,
    )


def _code_inr(job: PointJob, decoded: Path, *, progress: bool) -> Coded:
    stream = _stream_folder(job) / f"{job.stem}.inr"
    report = _encode_once(job, stream, progress=progress)
    rgb, seconds = decode_inr(stream, decoded / "decoded.rgb", device=job.options.device)
    names = ("model", "recipe", "parameters", "kmac_per_pixel", "device", "seed")
    return Coded(
        num_bytes=report["bytes"] - report["audio_bytes"],
        encode_seconds=report["seconds"]["total"],
        decode_seconds=seconds,
        stream=stream,
        rgb=rgb,
        facts={name: report[name] for name in names},
    )


def _encode_once(job: PointJob, stream: Path, *, progress: bool) -> dict[str, Any]:
    """Return the report of the encode; one that was finished before is not repeated."""
    kept = stream.with_suffix(".json")
    settings = json.loads(json.dumps(job.settings))
    # The metrics are no matter of the encode.
    settings.pop("metrics", None)
    if kept.exists() and stream.exists():
        finished = json.loads(kept.read_text())
        if finished["settings"] == settings:
            report: dict[str, Any] = finished["report"]
            return report
    try:
        report = _encode(job, stream, progress=progress)
    except CheckpointError:
        if not job.options.redo:
            raise
        checkpoint_path(stream).unlink(missing_ok=True)
        report = _encode(job, stream, progress=progress)
    write_atomically(kept, json.dumps({"settings": settings, "report": report}).encode())
    return report


def _encode(job: PointJob, stream: Path, *, progress: bool) -> dict[str, Any]:
    options = job.options
    return encode(
        job.source,
        stream,
        preset=options.preset,
        bpp=job.quality,
        epochs=job.settings["epochs"],
        time_seconds=options.time_seconds,
        model=job.codec,
        recipe=job.detail,
        frames=options.frames,
        resize=options.resize,
        crop=options.crop,
        raw=options.raw,
        audio=False,
        device=options.device,
        seed=options.seed,
        resume=True,
        progress=progress,
    ).to_dict()


def remove_leftovers(out: Path) -> None:
    """Remove the decoded frames of processes that were killed."""
    for folder in out.glob(f"{DECODED_PREFIX}*"):
        process = folder.name.removeprefix(DECODED_PREFIX).split("-")[0]
        if process.isdecimal() and not Path("/proc", process).exists() and Path("/proc/1").exists():
            shutil.rmtree(folder, ignore_errors=True)

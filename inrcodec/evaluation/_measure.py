"""Measuring one point: encode, decode what was written, score it, keep a few frames.

In: a `PointJob`. Out: its `EvalPoint`. Our fits are made by `inrcodec.encode`, so that an
interrupted one goes on from its checkpoint (`_kept_fit.py`); decoded frames lie on disk only while
they are scored.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inrcodec._encode import encode
from inrcodec._provenance import commit, cpu_name, software_versions
from inrcodec.evaluation._decode_inr import decode_inr
from inrcodec.evaluation._kept_fit import fit_once, stream_path
from inrcodec.evaluation._leftovers import DECODED_PREFIX
from inrcodec.evaluation._plan import PointJob
from inrcodec.evaluation._points import EvalPoint
from inrcodec.evaluation._reference import RawFrames
from inrcodec.evaluation._scores import score
from inrcodec.evaluation._snapshots import save_snapshots
from inrcodec.evaluation.codecs import CODECS, ffmpeg_version


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A coded clip and what decodes from it."""

    num_bytes: int
    encode_seconds: float
    decode_seconds: float
    stream: Path
    rgb: RawFrames
    yuv: RawFrames | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # members of EvalPoint; go before others


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
        "device": cpu_name(),
        "versions": {**software_versions(), "ffmpeg": ffmpeg_version()},
        "commit": commit(),
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
            name: [round(v, 8) for v in values] for name, values in per_frame.items() if values
        },
        stream=coded.stream.relative_to(job.out).as_posix(),
        snapshots=snapshots,
        settings=job.settings,
        **facts,
    )


def _code_reference(job: PointJob, decoded: Path) -> Coded:
    codec = CODECS[job.codec]
    point = codec.encode(
        job.reference,
        job.quality,
        preset=job.settings["preset"],
        tune_psnr=job.settings["tune_psnr"],
        gop_frames=job.settings["gop_frames"],
        folder=job.stream_folder,
    )
    rgb, yuv = codec.decode(point, job.reference, decoded)
    return Coded(
        num_bytes=point.num_bytes,
        encode_seconds=point.encode_seconds,
        decode_seconds=point.decode_seconds,
        stream=point.stream,
        rgb=rgb,
        yuv=yuv,
    )


def _code_inr(job: PointJob, decoded: Path, *, progress: bool) -> Coded:
    stream = stream_path(job)
    stream.parent.mkdir(parents=True, exist_ok=True)
    fit = fit_once(job, lambda: _encode(job, stream, progress=progress))
    rgb, seconds = decode_inr(stream, decoded / "decoded.rgb", device=job.options.device)
    names = ("model", "recipe", "parameters", "kmac_per_pixel", "seed")
    return Coded(
        num_bytes=fit.report["bytes"] - fit.report["audio_bytes"],
        encode_seconds=fit.report["seconds"]["total"],
        decode_seconds=seconds,
        stream=stream,
        rgb=rgb,
        facts={
            **{name: fit.report[name] for name in names},
            "device": fit.device,
            # Of the fit, which may be older than its scores; FFmpeg only scores.
            "versions": {**fit.versions, "ffmpeg": ffmpeg_version()},
            "commit": fit.commit,
        },
    )


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

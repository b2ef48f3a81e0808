"""What an evaluation is to measure: every codec at every quality on every clip, as jobs.

In: the options of `inrcodec eval` and a prepared `Reference`. Out: `PointJob`s, which hold all that
a worker process or a ray task needs. Reference codecs come first: they are quick, and show early
where ours have to be.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from inrcodec import models
from inrcodec._presets import preset as preset_named
from inrcodec._provenance import cpu_name
from inrcodec._source import source_path
from inrcodec.evaluation._points import clip_folder, point_path, point_stem, series_name
from inrcodec.evaluation._scores import check_metrics
from inrcodec.fitting import recipe_epochs, resolve_device

if TYPE_CHECKING:
    from inrcodec.evaluation._reference import Reference
    from inrcodec.video import RawVideoFormat

METHOD = 1
"""Of the measurement itself, in the settings of every point. Raise it by hand with every change
that moves figures while their options stay the same: of the table of reference codecs, the colour
path, or a metric. Points of other methods are then not taken for the same.
"""

AUTO_BPP = (0.02, 0.05, 0.1, 0.2)
_AUTO_SMALLEST_BYTES = 12_000  # under it the overhead of a file and the smallest networks tell
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is measured, of every source alike.

    Raises:
        EvaluationError: a metric needs an extra that is not installed.
        ValueError: an unknown codec or metric, or options that exclude each other.
    """

    codecs: tuple[str, ...]
    bpps: tuple[float, ...] | None = None  # of ours; None: chosen by the clip
    qualities: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # else the default
    presets: Mapping[str, str] = field(default_factory=dict)  # of reference codecs, likewise
    tune_psnr: bool = False  # of reference codecs
    gop_frames: int | None = None  # between their key frames; None: each codec's own default
    preset: str = "medium"  # of ours
    recipe: str | None = None
    epochs: int | None = None  # budget of a point of ours; else time_seconds; else the preset's
    time_seconds: float | None = None
    seed: int = 0
    device: str = "auto"
    frames: tuple[int, int | None] | None = None
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    raw: RawVideoFormat | None = None
    metrics: tuple[str, ...] = ("psnr_rgb", "psnr_yuv", "ms_ssim", "vmaf")
    redo: bool = False  # replace points of other settings

    def __post_init__(self) -> None:
        if self.epochs is not None and self.time_seconds is not None:
            raise ValueError("epochs and time_seconds are given, at most one of them may be")
        if not self.codecs:
            raise ValueError("no codecs: name at least one")
        for name in (*self.codecs, *self.qualities, *self.presets):
            kind_of(name)
        for option, named in (("qualities", self.qualities), ("presets", self.presets)):
            if ours := [name for name in named if kind_of(name) == "inr"]:
                raise ValueError(f"{option} are for reference codecs, {ours[0]} is a network")
        check_metrics(self.metrics)


@dataclass(frozen=True, kw_only=True)
class PointJob:
    """One point to measure; everything in it can be pickled."""

    source: str
    reference: Reference
    out: Path
    codec: str
    kind: str  # "inr" or "reference"
    detail: str | None  # preset of a reference codec, recipe of a network
    quality: float
    options: EvalOptions
    settings: dict[str, Any]

    @property
    def stem(self) -> str:
        """Name of the point's files, without their ending."""
        return point_stem(self.codec, self.detail, self.quality)

    @property
    def record(self) -> Path:
        """Where the record lies, or will."""
        return point_path(self.out, self.reference.name, self.stem)

    @property
    def stream_folder(self) -> Path:
        """Where the coded file lies, or will, with what is kept beside it."""
        return self.out / "streams" / clip_folder(self.reference.name) / self.stem

    @property
    def title(self) -> str:
        """The point as progress names it."""
        unit = "bpp" if self.kind == "inr" else "CRF/QP"
        detail = f" {self.detail}" if self.detail and self.detail != "default" else ""
        return f"{self.reference.name}: {self.codec}{detail}, {self.quality:g} {unit}"


def kind_of(codec: str) -> str:
    """Return `reference` or `inr`.

    Raises:
        ValueError: neither a reference codec nor a network has this name.
    """
    from inrcodec.evaluation.codecs import CODECS

    if codec in CODECS:
        return "reference"
    if codec in models.names():
        return "inr"
    known = ", ".join([*CODECS, *models.names()])
    raise ValueError(f"codec {codec!r} is unknown, must be one of {known}")


def plan(
    source: str, reference: Reference, out: Path, options: EvalOptions, *, workers: int = 1
) -> list[PointJob]:
    """Return the jobs of one clip, those of reference codecs first.

    Args:
        source: what the clip was read from.
        reference: its frames on disk.
        out: folder of the records.
        options: what is measured.
        workers: points measured at once: fits in a given time that share the cores are others,
            as are those of other machines.
    """
    from inrcodec.evaluation.codecs import ffmpeg_version

    clip = {
        "method": METHOD,
        "ffmpeg": ffmpeg_version(),  # of the scores, and of reference codecs
        "frames": options.frames,
        "resize": options.resize,
        "crop": options.crop,
        "fps": str(reference.fps),
        "frames_crc32": _crc32(reference.rgb.path),
        "metrics": sorted(options.metrics),
    }
    ordered = sorted(options.codecs, key=lambda name: kind_of(name) != "reference")
    jobs = []
    for codec in dict.fromkeys(ordered):
        kind, on_device = kind_of(codec), options
        if kind == "reference":
            qualities, settings = _reference(codec, options)
        else:
            on_device = replace(options, device=str(resolve_device(options.device)))
            qualities, settings = _inr(codec, reference, options, workers)
        jobs += [
            PointJob(
                source=_absolute(source),
                reference=reference,
                out=out,
                codec=codec,
                kind=kind,
                detail=_detail(codec, options),
                quality=quality,
                options=on_device,
                settings={**clip, "codec": codec, "quality": quality, **settings},
            )
            for quality in qualities
        ]
    return jobs


Planned = tuple[Sequence[float], dict[str, Any]]


def curve_name(codec: str, options: EvalOptions) -> str:
    """Return the name of the curve that a codec will have."""
    return series_name(codec, _detail(codec, options))


def _detail(codec: str, options: EvalOptions) -> str:
    """Return how a codec encodes: the preset of a reference codec, the recipe of a network."""
    from inrcodec.evaluation.codecs import CODECS

    if kind_of(codec) == "inr":
        return options.recipe or preset_named(options.preset).recipe
    preset = options.presets.get(codec, CODECS[codec].default_preset)
    return f"{preset} tune=psnr" if options.tune_psnr else preset


def _reference(codec: str, options: EvalOptions) -> Planned:
    """Return qualities and settings of a reference codec."""
    from inrcodec.evaluation.codecs import CODECS

    qualities = options.qualities.get(codec) or tuple(CODECS[codec].qualities)
    settings = {
        "preset": options.presets.get(codec, CODECS[codec].default_preset),
        "tune_psnr": options.tune_psnr,
        "gop_frames": options.gop_frames,
        "pixel_format": CODECS[codec].pixel_format,  # what the encoder is fed
    }
    return qualities, settings


def _inr(codec: str, reference: Reference, options: EvalOptions, workers: int) -> Planned:
    """Return wished bpps and settings of a network."""
    chosen = preset_named(options.preset)
    epochs = options.epochs
    if epochs is None and options.time_seconds is None:
        prescribed = recipe_epochs(options.recipe, codec) if options.recipe else None
        epochs = prescribed or chosen.epochs
    device = resolve_device(options.device)
    settings = {
        "recipe": _detail(codec, options),
        "epochs": epochs,
        "time_seconds": options.time_seconds,
        "workers": None if options.time_seconds is None else workers,
        "machine": None if options.time_seconds is None else _machine(device),
        "seed": options.seed,
        "device": device.type,
    }
    if codec == chosen.model:
        settings["preset"] = options.preset  # it bounds what decoding its model may cost
    return options.bpps or auto_bpps(reference.rgb), settings


def _machine(device: torch.device) -> str:
    """Return what fits in a given time are done on: others do more or less in it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def _absolute(source: str) -> str:
    """Return the file of a source by a name that holds in every process; a URL as it is."""
    path = str(source_path(source))
    return path if "://" in path else os.path.abspath(path)


def auto_bpps(frames: Any) -> tuple[float, ...]:
    """Return four rates over a decade, the lowest one no less than 12 kB of this clip."""
    pixels = frames.num_frames * frames.width * frames.height
    scale = max(1.0, 8 * _AUTO_SMALLEST_BYTES / (AUTO_BPP[0] * pixels))
    return tuple(float(f"{bpp * scale:.3g}") for bpp in AUTO_BPP)


def _crc32(path: Path) -> int:
    """Return the checksum of a file, read in chunks."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc

"""An encode before its fits and after them: options, source, checkpoint; then files and reports.

In: a source and what the user wishes. Out: an `EncodeJob` and the session that its rounds go on
from; later, for each file that is written, an `EncodeReport`, whose quality is measured on what
decodes from it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from inrcodec._decoder import VideoDecoder
from inrcodec._motion import find_motion
from inrcodec._output import probe_folder, replaced_file
from inrcodec._presets import MAX_BITS_PER_PARAMETER, SEGMENT_FRAMES
from inrcodec._presets import preset as preset_named
from inrcodec._progress import ProgressBars
from inrcodec._report import EncodeReport
from inrcodec._rounds import SCORED_AT_ONCE, EncodedVideo, check_time
from inrcodec._segment_encode import split_segments
from inrcodec._session import MOTIONS, Session, checkpoint_path
from inrcodec._sizing import EncodeJob
from inrcodec._source import Source, SourceOptions, read_source
from inrcodec.bitstream import is_inr_file, pack_audio, section_bytes, write_atomically
from inrcodec.errors import CheckpointError, RateError, VideoError
from inrcodec.fitting import (
    ClipMotion,
    FitConfig,
    FitProgress,
    check_fresh,
    recipe_config,
    recipe_epochs,
    resolve_device,
    resolve_precision,
)
from inrcodec.metrics import mean_ms_ssim, psnr_db
from inrcodec.models import (
    Network,
    check_settings,
    count_parameters,
    entry,
    macs_per_frame,
)
from inrcodec.video import RawVideoFormat
from inrcodec.video._types import exact_rate

Item = TypeVar("Item")


@dataclass(frozen=True)
class EncodeOptions:
    """What `encode` is told but for source, output and rate; its docstring says what it means."""

    preset: str = "medium"
    epochs: int | None = None
    time_seconds: float | None = None
    model: str | None = None
    recipe: str | None = None
    fit_settings: Mapping[str, object] | None = None
    model_settings: Mapping[str, object] | None = None
    bits_per_parameter: float | None = None
    fresh: bool = False
    frames: tuple[int, int | None] | None = None
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    raw: RawVideoFormat | None = None
    fps: Fraction | float | None = None
    audio: bool = True
    segment_frames: int = SEGMENT_FRAMES
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    resume: bool = False
    progress: bool = False
    on_progress: Callable[[FitProgress], None] | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.time_seconds is not None:
            raise ValueError("epochs and time_seconds are given, at most one of them may be")
        for name in ("epochs", "time_seconds", "segment_frames", "bits_per_parameter"):
            check_positive(name, getattr(self, name))
        for name in ("epochs", "segment_frames"):
            value = getattr(self, name)
            if value is not None and value != int(value):
                raise ValueError(f"{name} is {value}, must be a whole number")
        self._take_plain_numbers()
        if self.bits_per_parameter and self.bits_per_parameter > MAX_BITS_PER_PARAMETER:
            raise ValueError(
                f"bits_per_parameter is {self.bits_per_parameter:g}, "
                f"must be <= {MAX_BITS_PER_PARAMETER:g}"
            )

    def _take_plain_numbers(self) -> None:
        """Make NumPy's numbers Python's: a checkpoint holds no others; and a rate a fraction."""
        kinds: dict[str, Callable[[Any], object]] = {
            **dict.fromkeys(("epochs", "segment_frames", "seed"), int),
            **dict.fromkeys(("time_seconds", "bits_per_parameter"), float),
            "fps": exact_rate,
            **dict.fromkeys(("fit_settings", "model_settings"), _plain_settings),
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, kind(value))


class Encoding:
    """An encode, prepared: its clip is read.

    Args:
        source: as `encode` has it.
        output: the file to write, or the pattern of their names; the checkpoint lies beside it.
        options: of the encode.
        wishes: of the rate, which the checkpoint belongs to.
        started: `time.perf_counter()` when the encode began.

    Raises:
        As `encode` does before a fit.
    """

    def __init__(
        self,
        source: str | Path,
        output: Path,
        options: EncodeOptions,
        *,
        wishes: Mapping[str, Any],
        started: float,
    ) -> None:
        chosen = preset_named(options.preset)
        model = options.model or chosen.model
        check_settings(model, options.model_settings or {})
        if options.fresh:
            check_fresh(model, options.model_settings or {})
        epochs = options.epochs
        if epochs is None and options.time_seconds is None:
            recipe = options.recipe
            epochs = (recipe_epochs(recipe, model) if recipe else None) or chosen.epochs
        self.options = replace(
            options,
            epochs=epochs,
            model=model,
            recipe=options.recipe or chosen.recipe,
            fit_settings=options.fit_settings or {},
            model_settings=options.model_settings or {},
        )
        fit_config = _fit_config(self.options)
        device = resolve_device(options.device)
        if not output.parent.is_dir():
            raise VideoError(f"{output}: folder {output.parent} does not exist")
        self.source = source
        self.check_target(output)
        checkpoint = checkpoint_path(output)
        if checkpoint.exists() and not options.resume:
            raise CheckpointError(
                f"{checkpoint} is there, of an interrupted encode: go on with it (--resume), or "
                "delete it"
            )
        self.bars = ProgressBars(enabled=options.progress, on_fit=options.on_progress)
        clip = _read(source, options, self.bars)
        read_seconds = time.perf_counter() - started
        self.bpp = chosen.bpp  # of the preset
        sizes = [wishes.get(name) for name in ("size_bytes", "sizes_bytes")]
        self._has_sizes = any(size is not None for size in sizes)
        self.session = Session(
            output,
            {
                **wishes,
                **_fingerprint(self.options, device),
                "audio": options.audio if self._has_sizes else None,  # takes bytes from the fit
            },
            clip.frames,
            time_seconds=self.options.time_seconds,
            resume=options.resume,
            started=started,
        )
        self.session.spend("read", read_seconds)
        if options.time_seconds is not None and self.session.time_seconds is not None:
            # The imports that a command takes out of its time differ from call to call.
            fit_config = replace(fit_config, seconds=self.session.time_seconds)
            bound = min(options.time_seconds, self.session.time_seconds)
            self.options = replace(self.options, time_seconds=bound)
        self.job = EncodeJob(
            clip,
            [pack_audio(stream) for stream in clip.audio],
            model,
            fit_config,
            device,
            options.segment_frames,
            options.fresh,
            dict(self.options.model_settings or {}),
            options.bits_per_parameter,
            chosen.kmac_bound(model, height=clip.frames.shape[2], width=clip.frames.shape[3]),
        )

    def check_target(self, path: Path) -> None:
        """Refuse a file to write that is the source, is there and is no `.inr` file, or that has no
        place: hours may go into it.

        Raises:
            VideoError: so it is.
        """
        target = replaced_file(path)
        if path.exists() and Path(self.source).exists() and path.samefile(self.source):
            raise VideoError(f"{path}: is the source, and would be overwritten")
        if path.exists() and path.stat().st_size and not is_inr_file(path):
            raise VideoError(f"{path}: is there already and is no .inr file; delete it first")
        try:
            for place in {path, target}:  # a link's has the checkpoint
                probe_folder(place)
        except OSError as exc:
            raise VideoError(f"{path}: cannot be written: {exc.strerror or exc}") from exc

    def find_motions(self) -> None:
        """Find the motion of every segment, for networks that follow it.

        Raises:
            TimeError: reading took all the time there is.
        """
        before = self.session.seconds()
        if self.options.time_seconds is not None and self.session.is_new:
            check_time(self.options.time_seconds - before)
        self.job = replace(self.job, motions=self._find_motions())
        self.session.spend("motion", self.session.seconds() - before)

    def _find_motions(self) -> tuple[ClipMotion | None, ...]:
        """Return the motion of every segment, where its network is to follow it; found once."""
        job, session = self.job, self.session
        kept = session.finished.get(MOTIONS)
        if kept is not None:
            return tuple(None if m is None else ClipMotion(**m) for m in kept["segments"])
        motions = tuple(
            find_motion(
                job.source.frames[a:b],
                model=job.model,
                settings=job.model_settings,
                max_kmac_per_pixel=job.max_kmac_per_pixel,
                progress=self._while_time_is_left,
            )
            for a, b in split_segments(len(job.source.frames), job.segment_frames)
        )
        if any(motions):
            segments = [None if m is None else vars(m) for m in motions]
            session.remember(MOTIONS, {"segments": segments})
        return motions

    def _while_time_is_left(self, runs: Collection[Item]) -> Iterator[Item]:
        """Yield runs of frames whose motion is sought.

        Raises:
            TimeError: it has taken all the time there is.
        """
        for run in self.bars.wrap(runs, len(runs), "motion"):
            if self.options.time_seconds is not None:
                check_time(self.options.time_seconds - self.session.seconds())
            yield run

    def bytes_of_bpp(self, bpp: float) -> int:
        """Return what the file may take at so many bits per pixel, audio excluded."""
        num_frames, _, height, width = self.job.source.frames.shape
        return int(bpp * num_frames * height * width / 8)

    def bytes_of_size(self, size_bytes: int) -> int:
        """Return what a file of this size may take, audio excluded.

        Raises:
            RateError: its audio alone takes as much.
        """
        audio_bytes = self._audio_bytes()
        if audio_bytes >= size_bytes:
            raise RateError(
                f"audio alone takes {audio_bytes} of {size_bytes} bytes; "
                "wish a larger size, or leave the audio out (--no-audio)"
            )
        return size_bytes - audio_bytes

    @contextmanager
    def naming_audio(self) -> Iterator[None]:
        """Say, where a size of the whole file is wished for, that a refused one is without audio.

        Raises:
            RateError: as it was raised inside, with that.
        """
        try:
            yield
        except RateError as exc:
            if not (self._has_sizes and self.job.audio):
                raise
            raise RateError(
                f"{exc} (bytes without those of the audio, {self._audio_bytes()} of the wished "
                "size; --no-audio leaves it out)"
            ) from exc

    def _audio_bytes(self) -> int:
        return sum(section_bytes(len(payload)) for payload in self.job.audio)

    def psnr_db(self, encoded: EncodedVideo) -> float:
        """Return the mean PSNR of what decodes, in dB."""
        with VideoDecoder(encoded.to_bytes(), device=str(self.job.device)) as decoder:
            return _score(decoder, self.job.source, with_ms_ssim=False)[0]

    def write(
        self, encoded: EncodedVideo, path: Path, *, code_seconds: float | None = None
    ) -> EncodeReport:
        """Write a file, and report on what decodes from it.

        Args:
            encoded: what to write.
            path: where.
            code_seconds: that coding it took; None where it is the only file: then its fits are all
                that were made, and coding is all that was neither reading nor fitting.
        """
        write_atomically(path, encoded.to_bytes())
        read_seconds, motion_seconds = (self.session.spent[stage] for stage in ("read", "motion"))
        fit_seconds = motion_seconds + (
            self.session.fit_seconds()
            if code_seconds is None
            else sum(fit.seconds for fit in encoded.fits)
        )
        seconds = {"read": read_seconds, "fit": fit_seconds}
        if code_seconds is None:
            code_seconds = self.session.seconds() - sum(seconds.values())
        started = time.perf_counter()
        with VideoDecoder(path, device=str(self.job.device)) as decoder:
            quality = _score(decoder, self.job.source)
        seconds |= {"code": code_seconds, "verify": time.perf_counter() - started}
        seconds["total"] = sum(seconds.values())
        return _report(self.job, encoded, quality, seconds, path=path, options=self.options)


def _plain_settings(settings: Mapping[str, object]) -> dict[str, object]:
    return {name: _plain(value) for name, value in settings.items()}


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def check_positive(name: str, value: float | None) -> None:
    """Refuse a number that is not above 0, or not finite; None is none."""
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}, must be > 0{' and finite' * bool(value > 0)}")


def _read(source: str | Path, options: EncodeOptions, bars: ProgressBars) -> Source:
    chosen = SourceOptions(
        frames=options.frames,
        resize=options.resize,
        crop=options.crop,
        raw=options.raw,
        fps=options.fps,
        audio=options.audio,
    )
    return read_source(
        source, chosen, progress=lambda items, total: bars.wrap(items, total, "read")
    )


def _fingerprint(options: EncodeOptions, device: torch.device) -> dict[str, Any]:
    """What the file depends on; the time does not belong here, since its files do not repeat."""
    named = (
        "epochs",
        "preset",
        "model",
        "recipe",
        "fit_settings",
        "model_settings",
        "bits_per_parameter",
        "fresh",
        "segment_frames",
        "precision",
        "seed",
    )
    return {
        **{name: getattr(options, name) for name in named},
        "timed": options.time_seconds is not None,
        "device": device.type,
    }


def _report(
    job: EncodeJob,
    encoded: EncodedVideo,
    quality: tuple[float, float | None],
    seconds: dict[str, float],
    *,
    path: Path,
    options: EncodeOptions,
) -> EncodeReport:
    num_frames, _, height, width = job.source.frames.shape
    pixels = num_frames * height * width
    num_parameters = sum(count_parameters(config).total for config in encoded.configs)
    macs = sum(macs_per_frame(config) * config.num_frames for config in encoded.configs)
    video_bits = 8 * encoded.video_bytes
    return EncodeReport(
        path=str(path),
        num_bytes=encoded.video_bytes + encoded.audio_bytes,
        audio_bytes=encoded.audio_bytes,
        bpp=video_bits / pixels,
        psnr_db=quality[0],
        ms_ssim=quality[1],
        num_frames=num_frames,
        width=width,
        height=height,
        num_segments=len(encoded.segments),
        model=job.model,
        num_parameters=num_parameters,
        bits_per_parameter=video_bits / num_parameters,
        kmac_per_pixel=macs / pixels / 1000,
        steps=sum(fit.steps for fit in encoded.fits),
        stopped=encoded.stopped,
        seconds=seconds,
        preset=options.preset,
        recipe=str(options.recipe),
        fit_settings=dict(options.fit_settings or {}),
        model_settings=job.model_settings,
        fresh=job.fresh,
        seed=job.fit.seed,
        device=_device_name(job.device),
        precision=_precision_name(job.fit.precision, job.device),
    )


def _fit_config(options: EncodeOptions) -> FitConfig:
    """Return the recipe's configuration with the settings, which leave budget and seed alone."""
    told = {
        "epochs": options.epochs,
        "seconds": options.time_seconds,
        "precision": options.precision,
        "seed": options.seed,
    }
    settings = options.fit_settings or {}
    admitted = {field.name for field in fields(FitConfig)} - set(told)
    for name in settings:
        if name not in admitted:
            raise ValueError(
                f"fit setting is {name!r}, must be one of {', '.join(sorted(admitted))}"
            )
    config = recipe_config(str(options.recipe), str(options.model), **settings, **told)
    _check_used(settings, config, str(options.model))
    return config


def _check_used(settings: Mapping[str, object], config: FitConfig, model: str) -> None:
    """Check that the settings, by themselves in their ranges, have an effect on this fit.

    Raises:
        ValueError: one has none.
    """
    named = entry(model)
    no_embeddings = not named.has_embeddings
    no_auxiliary = named.network.auxiliary is Network.auxiliary
    learned_steps = config.quantizer == "entropy"
    unused = {
        "rounding": learned_steps
        and config.rounding != "nearest"
        and "of learned steps is nearest",
        "warmup_start": config.warmup == 0 and "needs a warmup",
        "rate_weight": no_embeddings and f"is of embeddings, which {model} has not",
        "embedding_coding": no_embeddings and f"is of embeddings, which {model} has not",
        "auxiliary_weight": no_auxiliary and f"is of auxiliary outputs, which {model} has not",
    }
    for name, reason in unused.items():
        if reason and name in settings:
            raise ValueError(f"{name} is {settings[name]!r}, which has no effect: it {reason}")


def _score(
    decoder: VideoDecoder, clip: Source, *, with_ms_ssim: bool = True
) -> tuple[float, float | None]:
    """Return PSNR and MS-SSIM of what decodes, averaged over frames."""
    psnrs: list[torch.Tensor] = []
    similarities: list[float] = []  # times the frames that they are of
    for start in range(0, len(decoder), SCORED_AT_ONCE):
        decoded = decoder[start : start + SCORED_AT_ONCE]
        frames = clip.frames[start : start + SCORED_AT_ONCE].to(decoded.device)
        psnrs.append(psnr_db(decoded, frames).cpu())
        similarity = mean_ms_ssim(decoded, frames) if with_ms_ssim else None
        if similarity is not None:
            similarities.append(similarity * len(decoded))
    overall = sum(similarities) / len(decoder) if similarities else None
    return float(torch.cat(psnrs).mean()), overall


def _precision_name(precision: str, device: torch.device) -> str:
    """What a fit computes in; a CPU has no TF32."""
    if precision == "tf32" and device.type == "cuda":
        return precision
    return str(resolve_precision(precision, device)).removeprefix("torch.")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"

"""Encoding: read, fit each segment, quantise and code it to the wished size, write, verify.

In: a source and what the user wishes. Out: an `.inr` file, and an `EncodeReport` whose quality
is measured on what decodes from that file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import torch

from inrcodec._decoder import VideoDecoder
from inrcodec._motion import find_motion
from inrcodec._presets import BITS_PER_PARAMETER, SEGMENT_FRAMES
from inrcodec._presets import preset as preset_named
from inrcodec._progress import ProgressBars
from inrcodec._quality_search import MAX_ROUNDS, search_quality
from inrcodec._report import EncodeReport
from inrcodec._rounds import SCORED_AT_ONCE, EncodedVideo, EncodeJob, encode_round
from inrcodec._segment_encode import split_segments
from inrcodec._session import Session
from inrcodec._source import Source, SourceOptions, read_source
from inrcodec.bitstream import pack_audio, section_bytes, write_atomically
from inrcodec.errors import RateError, VideoError
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
from inrcodec.models import count_parameters, entry, macs_per_frame
from inrcodec.video import RawVideoFormat

_MOTIONS = "motions"  # under which a checkpoint has them


def encode(
    source: str | Path,
    output: str | Path,
    *,
    preset: str = "medium",
    bpp: float | None = None,
    size_bytes: int | None = None,
    psnr: float | None = None,
    epochs: int | None = None,
    time_seconds: float | None = None,
    model: str | None = None,
    recipe: str | None = None,
    fit_settings: Mapping[str, object] | None = None,
    model_settings: Mapping[str, object] | None = None,
    bits_per_parameter: float = BITS_PER_PARAMETER,
    fresh: bool = False,
    frames: tuple[int, int | None] | None = None,
    resize: tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    raw: RawVideoFormat | None = None,
    audio: bool = True,
    segment_frames: int = SEGMENT_FRAMES,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    resume: bool = False,
    progress: bool = False,
    on_progress: Callable[[FitProgress], None] | None = None,
) -> EncodeReport:
    """Encode a video into an `.inr` file.

    Args:
        source: any file FFmpeg opens, a folder or pattern of images, a raw `.yuv` (with `raw`),
            or the name of a dataset such as `bunny`.
        output: the file to write; it appears when it is complete.
        preset: `fast`, `medium`, `slow` or `best`: the default of model, rate, budget and recipe,
            and how much decoding may cost, which bounds the model of the preset.
        bpp: bits per pixel of the file, audio excluded. The file comes within 2 % of it and never
            above. At most one of `bpp`, `size_bytes` and `psnr`.
        size_bytes: bytes of the file on disk, audio included; met likewise.
        psnr: mean RGB PSNR in dB; the smallest file found that reaches it, of up to 4 fits, each of
            which ends as soon as it is reached.
        epochs: visits of every frame; fewer where the PSNR rises no more. At most one of `epochs`
            and `time_seconds`; without them the epochs of the `recipe`, if it is given and
            prescribes them, else the preset's.
        time_seconds: bound of the whole encode.
        model: a network's name, see `inrcodec.models.names()`.
        recipe: `default`, `ms-ssim`, `muon`, `soap`, or `paper`: the network's published loss,
            optimiser, schedule and number of epochs.
        fit_settings: fields of `inrcodec.fitting.FitConfig` that override the recipe's.
        model_settings: fields of the network's configuration that override its sizing rule's, all
            but `channels`, such as `{"strides": (4, 4)}`.
        bits_per_parameter: what a stored weight is expected to take at the wished size, which is
            how many of them the network gets; values of embeddings are expected to take 0.4 of it.
        fresh: whether to choose the frequencies of the network's positional encoding by the clip
            before the fit (arXiv 2410.05050); for networks that the frame index alone drives.
        frames: half-open range of frames to encode.
        resize: (width, height) to which frames are resized.
        crop: (width, height) of a central crop, made before the resize.
        raw: format of a raw `.yuv` source.
        audio: whether to pass audio through.
        segment_frames: a longer clip is cut into segments of at most so many frames.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: of the fit: `fp32`, `bf16`, or `auto`: bf16 where the device computes in it.
        seed: of initial weights and frame order.
        resume: go on from the checkpoint of an interrupted call with the same arguments.
        progress: show progress on stderr.
        on_progress: called about twice a second while a network is fitted.

    Raises:
        ValueError: an argument is out of its range.
        ModelError: no such network, or one of its settings is out of its range.
        VideoError: the source cannot be read.
        RateError: the wished rate or quality cannot be met.
        CheckpointError: the checkpoint is of another encode.
        Interrupted: Ctrl-C, after the checkpoint was saved.
    """
    started = time.perf_counter()
    wishes = {"bpp": bpp, "size_bytes": size_bytes, "psnr": psnr}
    _check_wishes(
        wishes,
        epochs=epochs,
        time_seconds=time_seconds,
        segment_frames=segment_frames,
        bits_per_parameter=bits_per_parameter,
    )
    chosen = preset_named(preset)
    model = model or chosen.model
    entry(model)
    if fresh:
        check_fresh(model)
    if epochs is None and time_seconds is None:
        epochs = (recipe_epochs(recipe, model) if recipe else None) or chosen.epochs
    recipe = recipe or chosen.recipe
    fit_settings, model_settings = dict(fit_settings or {}), dict(model_settings or {})
    fit_config = _fit_config(
        recipe,
        model,
        fit_settings,
        epochs=epochs,
        seconds=time_seconds,
        precision=precision,
        seed=seed,
    )
    torch_device = resolve_device(device)
    output = Path(output)
    if not output.parent.is_dir():
        raise VideoError(f"{output}: folder {output.parent} does not exist")

    bars = ProgressBars(enabled=progress, on_fit=on_progress)
    options = SourceOptions(frames=frames, resize=resize, crop=crop, raw=raw, audio=audio)
    clip = read_source(
        source, options, progress=lambda items, total: bars.wrap(items, total, "read")
    )
    seconds = {"read": time.perf_counter() - started}
    packed_audio = [pack_audio(stream) for stream in clip.audio]
    job = EncodeJob(
        clip,
        packed_audio,
        model,
        fit_config,
        torch_device,
        segment_frames,
        fresh,
        model_settings,
        bits_per_parameter,
        chosen.kmac_bound(model, height=clip.frames.shape[2], width=clip.frames.shape[3]),
    )
    # What the file depends on; the time does not belong here, since its files do not repeat.
    fingerprint = {
        **wishes,
        "epochs": epochs,
        "timed": time_seconds is not None,
        "preset": preset,
        "model": model,
        "recipe": recipe,
        "fit_settings": fit_settings,
        "model_settings": model_settings,
        "bits_per_parameter": bits_per_parameter,
        "fresh": fresh,
        "segment_frames": segment_frames,
        "device": torch_device.type,
        "precision": precision,
        "seed": seed,
    }
    session = Session(output, fingerprint, clip.frames, resume=resume, started=started)
    num_bytes = _wished_bytes(job, chosen.bpp if bpp is None else bpp, size_bytes)
    started_motion = session.seconds()
    job = replace(job, motions=_find_motions(job, session, bars))
    motion_seconds = session.seconds() - started_motion
    if psnr is None:
        encoded = encode_round(
            job, num_bytes, name="0", seconds=time_seconds, session=session, bars=bars
        )
    else:
        encoded = _search(job, psnr, num_bytes, time_seconds, session, bars)
    write_atomically(output, encoded.to_bytes())
    seconds["fit"] = motion_seconds + sum(fit.seconds for fit in encoded.fits)
    seconds["code"] = session.seconds() - sum(seconds.values())

    with VideoDecoder(output, device=str(torch_device)) as decoder:
        quality = _score(decoder, clip)
    session.remove()
    seconds["verify"] = session.seconds() - sum(seconds.values())
    seconds["total"] = session.seconds()
    return _report(
        job,
        encoded,
        quality,
        seconds,
        path=str(output),
        preset=preset,
        recipe=recipe,
        fit_settings=fit_settings,
    )


def _find_motions(
    job: EncodeJob, session: Session, bars: ProgressBars
) -> tuple[ClipMotion | None, ...]:
    """Return the motion of every segment, where its network is to follow it; found once."""
    kept = session.finished.get(_MOTIONS)
    if kept is not None:
        return tuple(None if m is None else ClipMotion(**m) for m in kept["segments"])
    motions = tuple(
        find_motion(
            job.source.frames[a:b],
            model=job.model,
            settings=job.model_settings,
            max_kmac_per_pixel=job.max_kmac_per_pixel,
            progress=lambda pairs: bars.wrap(pairs, len(pairs), "motion"),
        )
        for a, b in split_segments(len(job.source.frames), job.segment_frames)
    )
    if any(motions):
        session.remember(_MOTIONS, {"segments": [None if m is None else vars(m) for m in motions]})
    return motions


def _report(
    job: EncodeJob,
    encoded: EncodedVideo,
    quality: tuple[float, float | None],
    seconds: dict[str, float],
    *,
    path: str,
    preset: str,
    recipe: str,
    fit_settings: dict[str, object],
) -> EncodeReport:
    num_frames, _, height, width = job.source.frames.shape
    pixels = num_frames * height * width
    num_parameters = sum(count_parameters(config).total for config in encoded.configs)
    macs = sum(macs_per_frame(config) * config.num_frames for config in encoded.configs)
    video_bits = 8 * encoded.video_bytes
    return EncodeReport(
        path=path,
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
        preset=preset,
        recipe=recipe,
        fit_settings=fit_settings,
        model_settings=job.model_settings,
        fresh=job.fresh,
        seed=job.fit.seed,
        device=_device_name(job.device),
        precision=str(resolve_precision(job.fit.precision, job.device)).removeprefix("torch."),
    )


def _fit_config(
    recipe: str, model: str, settings: dict[str, object], **budget_and_seed: object
) -> FitConfig:
    """Return the recipe's configuration with these settings, which leave the other alone."""
    admitted = {field.name for field in fields(FitConfig)} - set(budget_and_seed)
    for name in settings:
        if name not in admitted:
            raise ValueError(
                f"fit setting is {name!r}, must be one of {', '.join(sorted(admitted))}"
            )
    return recipe_config(recipe, model, **settings, **budget_and_seed)


def _check_wishes(
    wishes: dict[str, float | None],
    *,
    epochs: int | None,
    time_seconds: float | None,
    segment_frames: int,
    bits_per_parameter: float,
) -> None:
    given = [name for name, value in wishes.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are given, at most one of them may be")
    if epochs is not None and time_seconds is not None:
        raise ValueError("epochs and time_seconds are given, at most one of them may be")
    numbers = {
        **wishes,
        "epochs": epochs,
        "time_seconds": time_seconds,
        "segment_frames": segment_frames,
        "bits_per_parameter": bits_per_parameter,
    }
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value}, must be > 0")


def _wished_bytes(job: EncodeJob, bpp: float, size_bytes: int | None) -> int:
    """Return what the file may take, audio excluded."""
    num_frames, _, height, width = job.source.frames.shape
    if size_bytes is None:
        return int(bpp * num_frames * height * width / 8)
    audio_bytes = sum(section_bytes(len(payload)) for payload in job.audio)
    if audio_bytes >= size_bytes:
        raise RateError(
            f"audio alone takes {audio_bytes} of {size_bytes} bytes; "
            "wish a larger size, or leave the audio out (--no-audio)"
        )
    return size_bytes - audio_bytes


def _search(
    job: EncodeJob,
    goal_db: float,
    num_bytes: int,
    seconds: float | None,
    session: Session,
    bars: ProgressBars,
) -> EncodedVideo:
    def encode_at(round_index: int, size: int) -> EncodedVideo:
        share = None if seconds is None else seconds * (round_index + 1) / MAX_ROUNDS
        return encode_round(
            job,
            size,
            name=str(round_index),
            seconds=share,
            num_rounds=1 if seconds is None else MAX_ROUNDS,
            goal_db=goal_db,
            session=session,
            bars=bars,
        )

    def measure(encoded: EncodedVideo) -> float:
        with VideoDecoder(encoded.to_bytes(), device=str(job.device)) as decoder:
            return _score(decoder, job.source, with_ms_ssim=False)[0]

    return search_quality(goal_db, num_bytes, encode=encode_at, psnr_db=measure)


def _score(
    decoder: VideoDecoder, clip: Source, *, with_ms_ssim: bool = True
) -> tuple[float, float | None]:
    """Return PSNR and MS-SSIM of what decodes, averaged over frames."""
    psnrs: list[torch.Tensor] = []
    similarities: list[float] = []  # times the frames that they are of
    for start in range(0, len(decoder), SCORED_AT_ONCE):
        span = slice(start, start + SCORED_AT_ONCE)
        decoded = decoder[span].cpu()
        psnrs.append(psnr_db(decoded, clip.frames[span]))
        similarity = mean_ms_ssim(decoded, clip.frames[span]) if with_ms_ssim else None
        if similarity is not None:
            similarities.append(similarity * len(decoded))
    overall = sum(similarities) / len(decoder) if similarities else None
    return float(torch.cat(psnrs).mean()), overall


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"

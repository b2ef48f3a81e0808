"""One round of an encode: all segments of a clip sized, fitted and coded to a number of bytes.

In: an `EncodeJob` and a number of bytes. Out: an `EncodedVideo`, which can be coded again at other
rates without fitting again. Interrupted rounds go on from the session's checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from inrcodec._motion import PLACE_KMAC_PER_PIXEL, motion_settings
from inrcodec._presets import BITS_PER_PARAMETER
from inrcodec._progress import ProgressBars
from inrcodec._segment_codec import SegmentDecoder
from inrcodec._segment_encode import (
    SegmentJob,
    code_segment,
    fit_segment,
    size_network,
    split_segments,
)
from inrcodec._session import Session
from inrcodec._source import Source
from inrcodec.bitstream import Header, SegmentInfo, file_bytes, section_bytes
from inrcodec.errors import Interrupted, ModelError, RateError
from inrcodec.fitting import (
    ClipMotion,
    FitConfig,
    FitResult,
    choose_encoding,
    hold_interrupts,
)
from inrcodec.metrics import mean_ms_ssim
from inrcodec.models import NetworkConfig, build, count_parameters, macs_per_frame

_log = logging.getLogger(__name__)

_HEADER_BYTES = 250  # before it is known
# Seconds to code a stored value: the step's search packs a segment a few times.
_CODE_SECONDS_A_PARAMETER = 5e-6
_CODE_SECONDS = 1.5
_RESERVE_FACTOR = 1.4
# A fit that visits every frame less often takes a shape whose steps cost less; how often it will is
# guessed from multiply-accumulates of the decoder a second of fit, of a CPU's core or of a GPU, and
# from what a visit takes besides.
_FEWEST_VISITS = 25
_MACS_A_CORE_SECOND, _MACS_A_GPU_SECOND = 1.15e10, 1e12
_SECONDS_A_VISIT = 0.003
_PLACE_MACS = 1000  # that reading a pixel from a canvas, and back, takes as long as
SCORED_AT_ONCE = 2
"""Frames: more of them leave the caches, and take longer each."""


@dataclass(frozen=True)
class EncodeJob:
    """A clip and how to fit it."""

    source: Source
    audio: list[bytes]  # payloads of the audio sections
    model: str
    fit: FitConfig  # with a budget of epochs; of seconds, the whole encode's
    device: torch.device
    segment_frames: int
    fresh: bool  # whether to choose the positional encoding by the frames
    model_settings: dict[str, object] = field(default_factory=dict)
    bits_per_parameter: float = BITS_PER_PARAMETER
    max_kmac_per_pixel: float | None = None
    motions: tuple[ClipMotion | None, ...] = (None,)  # of the segments, where they are followed


@dataclass(frozen=True)
class EncodedVideo:
    """A clip, fitted and coded."""

    header: Header
    configs: list[NetworkConfig]
    fits: list[FitResult]
    segments: list[bytes]
    audio: list[bytes]

    def to_bytes(self) -> bytes:
        """Return the whole file."""
        return file_bytes(self.header, self.segments, self.audio)

    @property
    def video_bytes(self) -> int:
        """Bytes of the file, audio excluded."""
        return len(self.to_bytes()) - self.audio_bytes

    @property
    def audio_bytes(self) -> int:
        """Bytes of the file that are audio: its sections and their entries in the index."""
        return sum(section_bytes(len(payload)) for payload in self.audio)

    @property
    def stopped(self) -> str:
        """What ended the fits: `budget` if it ended any of them, else `goal` or `plateau`."""
        reasons = {fit.stopped for fit in self.fits}
        return "budget" if "budget" in reasons else min(reasons)

    @property
    def unused_octaves(self) -> float:
        """How often the work of the fits could be doubled within their budgets."""
        return sum(-math.log2(fit.used_share) for fit in self.fits) / len(self.fits)

    def recode(self, num_bytes: int) -> EncodedVideo:
        """Return the same fits coded in `num_bytes`, audio excluded.

        Raises:
            RateError: no step gives so few bytes.
        """
        left = num_bytes - _fixed_bytes(self.header)
        sizes = [config.num_frames for config in self.configs]
        segments = []
        for i, (config, fit) in enumerate(zip(self.configs, self.fits, strict=True)):
            share = left * sizes[i] // sum(sizes[i:])
            segments.append(code_segment(config, fit, share))
            left -= len(segments[-1])
        return replace(self, segments=segments)


def encode_round(
    job: EncodeJob,
    num_bytes: int,
    *,
    name: str,
    seconds: float | None,
    num_rounds: int = 1,
    goal_db: float | None = None,
    session: Session,
    bars: ProgressBars,
) -> EncodedVideo:
    """Fit and code the clip in at most `num_bytes`, audio excluded.

    Args:
        job: the clip and how to fit it.
        num_bytes: what the file may take, audio excluded.
        name: of the round, unique in the session.
        seconds: until the round must be over, counted from the session's start; None for epochs.
        num_rounds: among which the job's seconds are shared.
        goal_db: mean RGB PSNR at which a segment's fit ends before its budget.
        session: holds what an earlier, interrupted call has done.
        bars: shows progress.

    Raises:
        Interrupted: Ctrl-C; the session's checkpoint is on the disk.
        RateError: so few bytes hold no network.
    """
    spans = list(split_segments(len(job.source.frames), job.segment_frames))
    share = (num_bytes - _HEADER_BYTES) / len(job.source.frames)
    configs = [
        _configure(
            job,
            int(share * (b - a)),
            frames=job.source.frames[a:b],
            motion=motion,
            num_rounds=num_rounds,
        )
        for (a, b), motion in zip(spans, job.motions, strict=True)
    ]
    header = _header(job, configs)
    left = num_bytes - _fixed_bytes(header)
    reserve = 0.0 if seconds is None else _reserve_seconds(job, configs)
    fits = []
    for i, ((a, b), config, motion) in enumerate(zip(spans, configs, job.motions, strict=True)):
        frames_left = len(job.source.frames) - a
        budget = job.fit
        if seconds is not None:
            allowed = (seconds - session.seconds() - reserve) * (b - a) / frames_left
            budget = replace(job.fit, epochs=None, seconds=max(allowed, 0.1))
        share_bytes = left * (b - a) // len(job.source.frames)
        part = SegmentJob(
            job.model,
            share_bytes,
            budget,
            job.device,
            goal_db,
            None if motion is None else motion.pixels,
        )
        stage = "fit" if len(spans) == 1 else f"fit {i + 1}/{len(spans)}"
        key = f"{name}.{i}"
        _log.info(
            "frames %d to %d: %s of %d values in %d bytes, %s",
            *(a, b - 1, job.model, count_parameters(config).total, part.num_bytes),
            config.to_dict(),
        )
        fits.append(_fit(key, stage, job, config, (a, b), part, session, bars))
    encoded = EncodedVideo(header, configs, fits, [], job.audio)
    return encoded.recode(num_bytes)


def _configure(
    job: EncodeJob,
    num_bytes: int,
    *,
    frames: Tensor,
    motion: ClipMotion | None = None,
    num_rounds: int,
) -> NetworkConfig:
    """Choose the network of a segment, which follows its motion unless the bytes are too few."""
    settings, bound = job.model_settings, job.max_kmac_per_pixel
    if motion is not None:
        left = None if bound is None else bound - PLACE_KMAC_PER_PIXEL
        with suppress(ModelError, RateError):
            moving = {**motion_settings(motion), **settings}
            return _shape(job, num_bytes, moving, left, frames=frames, num_rounds=num_rounds)
    config = _shape(job, num_bytes, settings, bound, frames=frames, num_rounds=num_rounds)
    if job.fresh:
        config = choose_encoding(config, frames, seed=job.fit.seed, device=job.device)
    return config


def _shape(
    job: EncodeJob,
    num_bytes: int,
    settings: Mapping[str, object],
    max_kmac_per_pixel: float | None,
    *,
    frames: Tensor,
    num_rounds: int,
) -> NetworkConfig:
    """Size a network, of a quick shape where the fit will be short."""

    def sized(*, quick: bool) -> NetworkConfig:
        return size_network(
            job.model,
            num_bytes,
            frames=frames,
            bits_per_parameter=job.bits_per_parameter,
            max_kmac_per_pixel=max_kmac_per_pixel,
            quick=quick,
            in_context=job.fit.codes_in_context,
            **settings,
        )

    config = sized(quick=False)
    quick = config
    with suppress(ModelError, RateError):  # a gap between whole widths
        quick = sized(quick=True)
    if config != quick and _expected_visits(job, config) / num_rounds < _FEWEST_VISITS:
        config = quick
    return config


def _expected_visits(job: EncodeJob, config: NetworkConfig) -> float:
    """How often a fit of the whole budget will visit every frame, nearly.

    The same in every call, so that a resumed encode has the same network.
    """
    if job.fit.seconds is None:
        return float(job.fit.epochs or 0)
    speed = _MACS_A_GPU_SECOND
    if job.device.type == "cpu":
        speed = _MACS_A_CORE_SECOND * torch.get_num_threads()
    macs = macs_per_frame(config)
    if config.has_motion:
        macs += _PLACE_MACS * config.height * config.width
    seconds_a_visit = macs / speed + _SECONDS_A_VISIT
    return job.fit.seconds / (seconds_a_visit * len(job.source.frames))


def _fit(
    key: str,
    stage: str,
    job: EncodeJob,
    config: NetworkConfig,
    span: tuple[int, int],
    part: SegmentJob,
    session: Session,
    bars: ProgressBars,
) -> FitResult:
    if key in session.finished:
        return _restore(session.finished[key])
    state = session.fit_states.get(key)
    if state is not None and part.fit.seconds is not None:
        # The schedule of an interrupted fit goes on as it was planned.
        part = replace(part, fit=replace(part.fit, seconds=state["budget_seconds"]))
    _, _, height, width = job.source.frames.shape
    bpp = 8 * part.num_bytes / ((span[1] - span[0]) * height * width)
    report, bar = bars.fit(stage, bpp)
    with bar, hold_interrupts() as interrupt:
        result = fit_segment(
            job.source.frames[span[0] : span[1]],
            config,
            part,
            state=state,
            on_progress=report,
            save=lambda fit_state: session.save_fit(
                key, {**fit_state, "budget_seconds": part.fit.seconds}
            ),
            interrupt=interrupt,
        )
    if result is None:
        raise Interrupted(
            f"interrupted; {session.path} keeps what was done: "
            "go on with the same call and --resume"
        )
    session.finish(key, _storable(result))
    return result


def _header(job: EncodeJob, configs: list[NetworkConfig]) -> Header:
    metadata = job.source.metadata
    color = metadata.color
    return Header(
        width=metadata.width,
        height=metadata.height,
        time_base=metadata.time_base,
        average_fps=metadata.average_fps,
        timestamps=job.source.timestamps,
        model=job.model,
        segments=tuple(SegmentInfo(c.num_frames, c.to_dict()) for c in configs),
        color=(color.primaries, color.transfer, color.matrix, int(color.full_range)),
        sample_aspect_ratio=metadata.sample_aspect_ratio,
        rotation=metadata.rotation % 360,
        num_audio_streams=len(job.audio),
    )


def _fixed_bytes(header: Header) -> int:
    """Bytes of a file that are neither audio nor segments' payloads."""
    return len(file_bytes(header, [b""] * len(header.segments)))


def _reserve_seconds(job: EncodeJob, configs: list[NetworkConfig]) -> float:
    """Seconds that coding and verifying will take, from frames decoded and scored now."""
    frames = job.source.frames[: min(SCORED_AT_ONCE, configs[0].num_frames)]
    network = build(job.model, configs[0], with_encoder=False)
    shape = network.embedding_shape
    embeddings = None if shape is None else torch.zeros(len(frames), *shape)
    decoder = SegmentDecoder(network, embeddings, device=job.device)

    def score() -> None:
        mean_ms_ssim(decoder.decode(range(len(frames))).cpu(), frames)

    score()  # the first call imports, and asks for memory
    start = time.perf_counter()
    score()
    a_frame = (time.perf_counter() - start) / len(frames)
    coding = _CODE_SECONDS + _CODE_SECONDS_A_PARAMETER * sum(
        count_parameters(config).total for config in configs
    )
    return _RESERVE_FACTOR * (coding + a_frame * len(job.source.frames))


def _storable(result: FitResult) -> dict[str, Any]:
    return {
        "tensors": [torch.from_numpy(tensor) for tensor in result.tensors],
        "step_codes": result.step_codes,
        "global_step": result.global_step,
        "steps": result.steps,
        "seconds": result.seconds,
        "stopped": result.stopped,
        "used_share": result.used_share,
        "in_context": result.in_context,
    }


def _restore(stored: dict[str, Any]) -> FitResult:
    tensors = [tensor.numpy() for tensor in stored["tensors"]]
    return FitResult(**{**stored, "tensors": tensors})

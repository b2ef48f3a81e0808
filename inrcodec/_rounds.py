"""One round of an encode: all segments of a clip sized, fitted and coded to a number of bytes.

In: an `EncodeJob` and a number of bytes. Out: an `EncodedVideo`, which can be coded again at other
rates without fitting again. Interrupted rounds go on from the session's checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from inrcodec._at_once import HERE, Crew, fit_at_once
from inrcodec._fit_task import FitTask, SharedTime, finished
from inrcodec._progress import ProgressBars
from inrcodec._seeded import seeded
from inrcodec._segment_codec import SegmentDecoder
from inrcodec._segment_encode import (
    SegmentJob,
    code_segment,
    split_segments,
)
from inrcodec._session import Session
from inrcodec._sizing import EncodeJob, configure, warn_if_costly
from inrcodec.bitstream import Header, SegmentInfo, file_bytes, section_bytes
from inrcodec.errors import RateError, TimeError
from inrcodec.fitting import (
    FitConfig,
    FitResult,
    hold_interrupts,
    pack_state,
)
from inrcodec.metrics import mean_ms_ssim
from inrcodec.models import NetworkConfig, build, count_parameters
from inrcodec.video._cut import rate_of

_log = logging.getLogger(__name__)

_CONFIG_BYTES = 100  # of a segment's configuration in the header, before it is known
# Seconds to code a stored value: the step's search packs a segment once, seldom a few times.
_CODE_SECONDS_A_PARAMETER = 2.5e-6
_CODE_SECONDS = 1.5
_RESERVE_FACTOR = 1.4
# Seconds more where weights are rounded after the fit, which codes them several times.
_ROUNDING_SECONDS_A_PARAMETER = 6e-6
_LEAST_SHARE = 2.0**-10  # of its budget that a fit counts as having used
SCORED_AT_ONCE = 2
"""Frames: more of them leave the caches, and take longer each."""


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
        shares = [max(fit.used_share, _LEAST_SHARE) for fit in self.fits]
        return sum(-math.log2(share) for share in shares) / len(shares)

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
    goal_db: float | None = None,
    session: Session,
    bars: ProgressBars,
    plan: Plan | None = None,
    crew: Crew = HERE,
) -> EncodedVideo:
    """Fit and code the clip in at most `num_bytes`, audio excluded.

    Args:
        job: the clip and how to fit it.
        num_bytes: what the file may take, audio excluded.
        name: of the round, unique in the session.
        seconds: until the round must be over, counted from the session's start; None for epochs.
        goal_db: mean RGB PSNR at which a segment's fit ends before its budget.
        session: holds what an earlier, interrupted call has done.
        bars: shows progress.
        plan: of the same bytes; by default of a round that has all of the job's seconds.
        crew: who fits the segments.

    Raises:
        Interrupted: Ctrl-C; the session's checkpoint is on the disk.
        InrcodecError: a worker died.
        RateError: so few bytes hold no network; an `UncodableError` once it was fitted.
        TimeError: no time is left to fit.
    """
    plan = plan or Plan.of(job, num_bytes)
    reserve = 0.0 if seconds is None else plan.reserve_seconds()
    if goal_db is not None:
        reserve *= 2  # whether it is reached is measured before the file is

    def seconds_left() -> float | None:
        return None if seconds is None else seconds - session.seconds() - reserve

    def part(i: int, num_at_once: int = 1) -> SegmentJob:
        budget = plan.budget(i, seconds_left(), num_at_once=num_at_once)
        return plan.part(i, num_bytes, budget=budget, goal_db=goal_db)

    keys = [f"{name}.{i}" for i in range(len(plan.spans))]
    if not session.knows(keys[0]):
        check_time(seconds_left())
    with _fitting(), session.fitting():
        if crew.executor != "local" or min(crew.workers, len(keys)) > 1:
            fits = _fits_of_crew(crew, plan, keys, part, session=session, bars=bars)
        else:
            fits = [
                plan.fit(i, part(i), key=key, session=session, bars=bars)
                for i, key in enumerate(keys)
            ]
    with _fitting():
        return plan.coded(fits, num_bytes)


def _fits_of_crew(
    crew: Crew,
    plan: Plan,
    keys: list[str],
    part: Callable[[int, int], SegmentJob],
    *,
    session: Session,
    bars: ProgressBars,
) -> list[FitResult]:
    """Return the fits of all segments, of which those that are not finished are made at once."""
    missing = [i for i, key in enumerate(keys) if finished(key, plan.configs[i], session) is None]

    def task(i: int) -> FitTask:
        return plan.task(i, part(i, crew.workers), key=keys[i], session=session)

    tasks = (partial(task, i) for i in missing)
    fit_at_once(tasks, crew=crew, num_segments=len(keys), session=session, bars=bars)
    made = [finished(key, plan.configs[i], session) for i, key in enumerate(keys)]
    return [fit for fit in made if fit is not None]


class UncodableError(RateError):
    """A fit was made, and what it gave cannot be coded in its bytes."""


@contextmanager
def _fitting() -> Iterator[None]:
    try:
        yield
    except RateError as exc:
        raise UncodableError(str(exc)) from exc


def check_time(seconds: float | None) -> None:
    """Refuse to begin a fit for which no seconds are left.

    Raises:
        TimeError: so it is.
    """
    if seconds is not None and seconds <= 0:
        raise TimeError(
            f"the time is {-seconds:.1f} s too short: so much more go into reading, preparing, "
            "coding and checking, before a step of the fit is made"
        )


@dataclass(frozen=True)
class Plan:
    """A clip cut into segments, with a network for each."""

    job: EncodeJob
    spans: list[tuple[int, int]]  # half-open ranges of frames
    configs: list[NetworkConfig]
    header: Header

    @classmethod
    def of(cls, job: EncodeJob, num_bytes: int, *, num_rounds: float = 1) -> Plan:
        """Choose networks that the clip takes `num_bytes` with, audio excluded.

        Raises:
            RateError: so few bytes hold no network.
        """
        spans = list(split_segments(len(job.source.frames), job.segment_frames))
        without_configs = _header(job, [SegmentInfo(b - a, {}) for a, b in spans])
        fixed_bytes = _fixed_bytes(without_configs) + _CONFIG_BYTES * len(spans)
        if num_bytes <= fixed_bytes:
            raise RateError(
                f"{num_bytes} bytes are too few: {fixed_bytes} go into header and index alone"
            )
        share = (num_bytes - fixed_bytes) / len(job.source.frames)
        configs = [
            configure(
                job,
                int(share * (b - a)),
                frames=job.source.frames[a:b],
                motion=motion,
                num_rounds=num_rounds,
            )
            for (a, b), motion in zip(spans, job.motions, strict=True)
        ]
        warn_if_costly(job, configs)
        segments = [SegmentInfo(config.num_frames, config.to_dict()) for config in configs]
        return cls(job, spans, configs, _header(job, segments))

    def reserve_seconds(self) -> float:
        """Seconds that coding and verifying a file will take."""
        return _reserve_seconds(self.job, self.configs)

    def budget(self, i: int, seconds: float | None, *, num_at_once: int = 1) -> FitConfig:
        """Return how segment i is fitted, with its share of the seconds left, if they are bound.

        It is the next to begin, of segments that are fitted `num_at_once`.
        """
        if seconds is None:
            return self.job.fit
        first, end = self.spans[i]
        share = (end - first) / (len(self.job.source.frames) - first)
        if num_at_once > 1:  # segments are equally long, but for a frame
            share = 1 / math.ceil((len(self.spans) - i) / num_at_once)
        return replace(self.job.fit, epochs=None, seconds=max(seconds * share, 0.1))

    def part(
        self, i: int, num_bytes: int, *, budget: FitConfig, goal_db: float | None = None
    ) -> SegmentJob:
        """Return segment i of a clip of `num_bytes`.

        Raises:
            RateError: the header alone takes as many.
        """
        first, end = self.spans[i]
        left = num_bytes - _fixed_bytes(self.header)
        if left <= 0:
            raise RateError(f"{num_bytes} bytes are too few: the header alone takes {-left} more")
        motion = self.job.motions[i]
        return SegmentJob(
            self.job.model,
            left * (end - first) // len(self.job.source.frames),
            budget,
            self.job.device,
            goal_db,
            None if motion is None else motion.pixels,
        )

    def fit(
        self,
        i: int,
        part: SegmentJob,
        *,
        key: str,
        session: Session,
        bars: ProgressBars,
        stage_end: str = "",
        base_key: str | None = None,
        base: SharedTime | None = None,
    ) -> FitResult:
        """Fit segment i, or go on with what the session has of it.

        Args:
            i: which segment.
            part: what is wished of it.
            key: of the fit, unique in the session.
            session: holds what an earlier, interrupted call has done.
            bars: shows progress.
            stage_end: what the progress bar says after the stage.
            base_key: under which the session has, or gets, the state in which the quantised phase
                begins; fits with the same one go on from there.
            base: what is left for those, if it is bound.

        Raises:
            Interrupted: Ctrl-C; the session's checkpoint is on the disk.
            TimeError: its seconds are used up before a step.
        """
        made = finished(key, self.configs[i], session)
        if made is not None:
            return made
        task = self.task(
            i, part, key=key, session=session, stage_end=stage_end, base_key=base_key, base=base
        )

        def remember(fit_state: dict[str, Any]) -> None:
            if base_key is not None and base_key not in session.bases:
                session.bases[base_key] = pack_state(fit_state)

        report, bar = bars.fit(task.stage, task.bpp)
        with bar, hold_interrupts() as interrupt:
            result = task.run(
                on_progress=report,
                on_quantize=remember,
                save=lambda fit_state: session.save_fit(key, fit_state),
                interrupt=interrupt,
            )
            if result is not None:
                task.finish(result, session)
        if result is None or interrupt.requested:
            raise session.interrupted()
        return result

    def task(
        self,
        i: int,
        part: SegmentJob,
        *,
        key: str,
        session: Session,
        stage_end: str = "",
        base_key: str | None = None,
        base: SharedTime | None = None,
    ) -> FitTask:
        """Return the fit of segment i, as far as the session has not made it; see `fit`."""
        (first, end), config = self.spans[i], self.configs[i]
        stage = "fit" if len(self.spans) == 1 else f"fit {i + 1}/{len(self.spans)}"
        _log.info(
            "frames %d to %d: %s of %d values in %d bytes, %s",
            *(first, end - 1, part.model, count_parameters(config).total, part.num_bytes),
            config.to_dict(),
        )
        return FitTask.of(
            self.job.source.frames[first:end],
            config,
            part,
            key=key,
            stage=stage + stage_end,
            session=session,
            base_key=base_key,
            base=base,
        )

    def coded(self, fits: list[FitResult], num_bytes: int) -> EncodedVideo:
        """Return the clip coded in at most `num_bytes`, audio excluded."""
        encoded = EncodedVideo(self.header, self.configs, fits, [], self.job.audio)
        return encoded.recode(num_bytes)


def _header(job: EncodeJob, segments: list[SegmentInfo]) -> Header:
    metadata = job.source.metadata
    color, stamps = metadata.color, job.source.timestamps
    seconds = (stamps.end - stamps.first) * metadata.time_base
    return Header(
        width=metadata.width,
        height=metadata.height,
        time_base=metadata.time_base,
        average_fps=rate_of(stamps.num_frames, seconds, metadata.average_fps),
        timestamps=stamps,
        model=job.model,
        segments=tuple(segments),
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
    with seeded(job.fit.seed):
        network = build(job.model, configs[0], with_encoder=False)
    shape = network.embedding_shape
    embeddings = None if shape is None else torch.zeros(len(frames), *shape)
    decoder = SegmentDecoder(network, embeddings, device=job.device)

    def score() -> None:
        decoded = decoder.decode(range(len(frames)))
        mean_ms_ssim(decoded, frames.to(decoded.device))
        decoded.cpu()  # waits

    score()  # the first call imports, and asks for memory
    start = time.perf_counter()
    score()
    a_frame = (time.perf_counter() - start) / len(frames)
    num_parameters = sum(count_parameters(config).total for config in configs)
    coding = _CODE_SECONDS + _CODE_SECONDS_A_PARAMETER * num_parameters
    if job.fit.rounds_at_the_end:
        coding += _ROUNDING_SECONDS_A_PARAMETER * num_parameters
    return _RESERVE_FACTOR * (coding + a_frame * len(job.source.frames))

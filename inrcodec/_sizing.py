"""Which network an encode takes: of its segments, by their bytes, their motion and the budget.

In: an `EncodeJob`, and of a segment its frames, bytes and motion. Out: the network's configuration.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from inrcodec._motion import PLACE_KMAC_PER_PIXEL, motion_settings
from inrcodec._presets import BITS_PER_PARAMETER, bits_for
from inrcodec._segment_encode import size_network
from inrcodec._source import Source
from inrcodec.errors import ModelError, RateError
from inrcodec.fitting import ClipMotion, FitConfig, choose_encoding
from inrcodec.models import (
    NetworkConfig,
    align_widths,
    entry,
    has_avx2_alone,
    kmac_per_pixel,
    macs_per_frame,
)

# A fit that visits every frame less often takes a network whose steps cost less; how often it will
# is guessed from multiply-accumulates of the decoder a second of fit, of a CPU's core or of a GPU,
# and from what a visit takes besides.
_FEWEST_VISITS = 16
_MANY_VISITS = 200  # from which on steps that learn more are worth their time on a CPU
_MACS_A_CORE_SECOND, _MACS_A_GPU_SECOND = 2e10, 3e12
_MACS_A_CORE_SECOND_OF_AVX2 = 5e9
_SECONDS_A_VISIT = 0.003
_GPU_WIDTH = 8  # channels of bfloat16 that a GPU's matrix units read at once
_FREE_WIDTHS = 2  # of the stem and the first stage, where a CPU spends little
_NEAR_BOUND = 1.02
_PLACE_MACS = 1000  # that reading a pixel from a canvas, and back, takes as long as


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
    bits_per_parameter: float | None = None  # None: by the network and the length of the fit
    max_kmac_per_pixel: float | None = None
    motions: tuple[ClipMotion | None, ...] = (None,)  # of the segments, where they are followed
    num_gpus: int = 1  # that fit at once, where the device is one


def configure(
    job: EncodeJob,
    num_bytes: int,
    *,
    frames: Tensor,
    motion: ClipMotion | None = None,
    num_rounds: float,
) -> NetworkConfig:
    """Choose the network of a segment, which follows its motion unless the bytes are too few."""
    told: dict[str, Any] = {"frames": frames, "motion": motion, "num_rounds": num_rounds}
    settings = job.model_settings
    on_cpu = entry(job.model).config_class.cpu_settings if job.device.type == "cpu" else {}
    if on_cpu:
        config = _configured(job, num_bytes, {**on_cpu, **settings}, **told)
        if _expected_visits(job, config) / num_rounds < _MANY_VISITS:
            return config
    return _configured(job, num_bytes, settings, **told)


def warn_if_costly(job: EncodeJob, configs: Sequence[NetworkConfig]) -> None:
    """Say where so many bytes leave no network as cheap to decode as the preset promises."""
    bound = job.max_kmac_per_pixel
    if bound is None:
        return
    most = max(kmac_per_pixel(c) + PLACE_KMAC_PER_PIXEL * c.has_motion for c in configs)
    if most > _NEAR_BOUND * bound:
        warnings.warn(
            f"decoding will take {most:.1f} kMAC/pixel, more than the preset's {bound:.1f}: "
            f"no cheaper network {'with these settings ' if job.model_settings else ''}"
            "holds so many bytes",
            stacklevel=2,
        )


def _configured(
    job: EncodeJob,
    num_bytes: int,
    settings: Mapping[str, object],
    *,
    frames: Tensor,
    motion: ClipMotion | None,
    num_rounds: float,
) -> NetworkConfig:
    bound = job.max_kmac_per_pixel
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
    num_rounds: float,
) -> NetworkConfig:
    """Size a network, of a quick shape where the fit will be short."""

    def sized(*, quick: bool, bits: float) -> NetworkConfig:
        return size_network(
            job.model,
            num_bytes,
            frames=frames,
            bits_per_parameter=bits,
            max_kmac_per_pixel=max_kmac_per_pixel,
            quick=quick,
            in_context=job.fit.codes_in_context,
            **settings,
        )

    def shaped(*, quick: bool) -> NetworkConfig:
        if job.bits_per_parameter is not None:
            return sized(quick=quick, bits=job.bits_per_parameter)
        try:
            return sized(quick=quick, bits=bits_for(job.model))
        except (ModelError, RateError):  # a gap between whole widths
            return sized(quick=quick, bits=BITS_PER_PARAMETER)

    config = shaped(quick=False)
    is_quick = _expected_visits(job, config) / num_rounds < _FEWEST_VISITS
    if is_quick:
        with suppress(ModelError, RateError):
            config = shaped(quick=True)
    # Units that multiply matrices take whole blocks of channels. On a CPU short fits were none the
    # better for it.
    if job.device.type != "cpu":
        aligned = align_widths(config, _GPU_WIDTH)
    elif is_quick or config.cpu_multiple == 1:
        return config
    else:
        aligned = align_widths(config, config.cpu_multiple, num_free=_FREE_WIDTHS)
    if max_kmac_per_pixel is not None and kmac_per_pixel(aligned) > max(
        kmac_per_pixel(config), max_kmac_per_pixel
    ):
        return config
    return aligned


def _expected_visits(job: EncodeJob, config: NetworkConfig) -> float:
    """How often a fit of the whole budget will visit every frame, nearly.

    The same in every call, so that a resumed encode has the same network.
    """
    if job.fit.seconds is None:
        return float(job.fit.epochs or 0)
    speed = _MACS_A_GPU_SECOND * job.num_gpus
    if job.device.type == "cpu":
        speed = _MACS_A_CORE_SECOND_OF_AVX2 if has_avx2_alone() else _MACS_A_CORE_SECOND
        speed *= torch.get_num_threads()
    macs = macs_per_frame(config)
    if config.has_motion:
        macs += _PLACE_MACS * config.height * config.width
    seconds_a_visit = macs / speed + _SECONDS_A_VISIT
    return job.fit.seconds / (seconds_a_visit * len(job.source.frames))

"""One segment from frames to the payload of its section, at a wished number of bytes.

In: frames and a `SegmentJob`. Out: a network sized and fitted to them, then the payload of their
section, quantised by a step that is adjusted until the real payload meets the wish.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec._presets import BITS_PER_PARAMETER
from inrcodec._seeded import seeded
from inrcodec._segment_codec import embedding_grid, tensor_layout
from inrcodec.bitstream import TooDenseError, pack_segment
from inrcodec.errors import ModelSizeError, RateError
from inrcodec.fitting import FitConfig, FitProgress, FitResult, InterruptFlag, fit
from inrcodec.models import Network, NetworkConfig, build, count_parameters, for_budget
from inrcodec.quantization import (
    QuantizedTensors,
    admissible_step_codes,
    finest_global_step,
    quantize,
    shift_step_codes,
    step_size,
)

_log = logging.getLogger(__name__)

# Side information of a segment before its tables are known: bytes a tensor and fixed ones.
_SIDE_BYTES_A_TENSOR = 4
_SIDE_BYTES = 60
_MIN_PARAMETERS = 1000
_SIZINGS = 2
_SHARES = (1.0, 0.97, 1.03, 0.94, 1.06)  # of the values wished for, where there is no such size
_EMBEDDING_BITS = 0.4  # of a value of an embedding, coded as changes, over a weight's
# Of the bytes wished: how few leave the fit's own step as it is, and an adjusted one.
_LEAST_KEPT, _TOLERANCE = 0.981, 0.985
_AIM = 0.993
_MAX_ADJUSTMENTS = 12
# Octaves by which steps get finer before channels are coded value by value, each a pack of its own.
_MOST_FINER = 2


@dataclass(frozen=True)
class SegmentJob:
    """What is wished of one segment."""

    model: str
    num_bytes: int  # the payload of its section takes at most so many
    fit: FitConfig
    device: torch.device
    goal_db: float | None = None  # mean RGB PSNR at which the fit ends
    motion: Tensor | None = None  # (N, 2, r, c), where a network with motion starts from


def split_segments(num_frames: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the half-open frame ranges of segments: as few as `most` frames each allow, equal.

    >>> list(split_segments(7, 3))
    [(0, 2), (2, 4), (4, 7)]
    """
    count = -(-num_frames // most)
    for i in range(count):
        yield i * num_frames // count, (i + 1) * num_frames // count


def size_network(
    model: str,
    num_bytes: int,
    *,
    frames: Tensor,
    bits_per_parameter: float = BITS_PER_PARAMETER,
    max_kmac_per_pixel: float | None = None,
    quick: bool = False,
    in_context: bool = True,
    **settings: Any,
) -> NetworkConfig:
    """Return a network for `frames` that `num_bytes` can hold at `bits_per_parameter` a weight.

    Embeddings change little from frame to frame, and are expected to take 0.4 of that a value where
    they are coded `in_context`. Decoding takes at most `max_kmac_per_pixel` where a shape is so
    cheap; `quick` asks for a shape that suits a fit of few visits of a frame. `settings` override
    what the network's sizing rule chooses.

    Raises:
        ModelError: one of the settings is out of its range.
        RateError: not even the smallest network fits.
        ModelSizeError: the largest network has not so many values.
    """
    num_frames, _, height, width = frames.shape
    side_bytes, bits = _SIDE_BYTES, bits_per_parameter
    config = None
    # What is learned of one network, tensors and share of embeddings, changes little to the next.
    for _ in range(_SIZINGS):
        num_params = int(8 * (num_bytes - side_bytes) / bits)
        if num_params < _MIN_PARAMETERS:
            raise RateError(
                f"{num_bytes} bytes for {num_frames} frames of {width}x{height} are too few: "
                f"{max(num_params, 0)} parameters, must be >= {_MIN_PARAMETERS}"
            )
        config = _nearest_size(
            model,
            num_params,
            height=height,
            width=width,
            num_frames=num_frames,
            max_kmac_per_pixel=max_kmac_per_pixel,
            quick=quick,
            **settings,
        )
        side_bytes = _SIDE_BYTES + _SIDE_BYTES_A_TENSOR * len(tensor_layout(config)[0])
        size = count_parameters(config)
        share = size.embeddings / size.total
        of_weight = _EMBEDDING_BITS if in_context else 1.0
        bits = bits_per_parameter * (1 - share + share * of_weight)
    assert config is not None  # the loop runs
    return config


def _nearest_size(model: str, num_params: int, **clip_and_settings: Any) -> NetworkConfig:
    """Return a network of about `num_params` values; small ones have gaps between whole widths."""
    refused = None
    for share in _SHARES:
        try:
            return for_budget(model, int(share * num_params), **clip_and_settings)
        except ModelSizeError as exc:
            refused = refused or exc
    if refused is not None and refused.is_too_large:
        raise refused
    raise RateError(f"{model}: {refused}") from refused


def fit_segment(
    frames: Tensor,
    config: NetworkConfig,
    job: SegmentJob,
    *,
    state: dict[str, Any] | None,
    seconds_left: float | None = None,
    on_progress: Callable[[FitProgress], None],
    on_quantize: Callable[[dict[str, Any]], None] = lambda state: None,
    save: Callable[[dict[str, Any]], None],
    interrupt: InterruptFlag,
) -> FitResult | None:
    """Fit a network of `config`; None when interrupted, after its state was saved."""

    def coded_bytes(
        tensors: Sequence[NDArray[np.float32]], codes: Sequence[int], step: float
    ) -> int:
        return len(_pack(config, tensors, codes, step, in_context=job.fit.codes_in_context))

    return fit(
        frames,
        _initialise(job.model, config, job.fit.seed),
        job.fit,
        num_bytes=job.num_bytes,
        coded_bytes=coded_bytes,
        device=job.device,
        goal_db=job.goal_db,
        motion=job.motion,
        state=state,
        seconds_left=seconds_left,
        on_progress=on_progress,
        on_quantize=on_quantize,
        save=save,
        interrupt=interrupt,
    )


def code_segment(config: NetworkConfig, fit: FitResult, num_bytes: int) -> bytes:
    """Quantise and code a fitted segment in at most `num_bytes`, and nearly that many.

    The step that the fit went through is kept when it meets the wish; else it is adjusted by the
    difference, since one bit more or less a symbol halves or doubles the step.

    Raises:
        RateError: no step gives so few bytes.
    """
    num_symbols = count_parameters(config).total
    coded: dict[float, bytes] = {}

    def at(log_step: float) -> bytes:
        if log_step not in coded:
            step = 2.0**log_step
            coded[log_step] = _pack(
                config, fit.tensors, fit.step_codes, step, in_context=fit.in_context
            )
        return coded[log_step]

    finest = math.log2(finest_global_step(fit.tensors))
    too_fine, coarse = -math.inf, math.inf  # log steps known to take too many, or few enough bytes
    log_step = max(math.log2(fit.global_step), finest)
    for _ in range(_MAX_ADJUSTMENTS):
        size = len(at(log_step))
        _log.info("step %.4g: %d bytes of at most %d", 2.0**log_step, size, num_bytes)
        if size <= num_bytes:
            coarse = min(coarse, log_step)
            if size >= (_TOLERANCE if len(coded) > 1 else _LEAST_KEPT) * num_bytes:
                break
        else:
            too_fine = max(too_fine, log_step)
        guess = max(log_step + 8 * (size - _AIM * num_bytes) / num_symbols, finest)
        if not too_fine < guess < coarse:
            guess = (too_fine + coarse) / 2
        if not math.isfinite(guess) or abs(guess - log_step) < 1e-5:
            break
        log_step = guess
    if not math.isfinite(coarse):
        raise RateError(f"the network does not fit in {num_bytes} bytes at any step")
    return at(coarse)


def _pack(
    config: NetworkConfig,
    tensors: Sequence[NDArray[np.float32]],
    step_codes: Sequence[int],
    global_step: float,
    *,
    in_context: bool,
) -> bytes:
    global_step = float(np.float32(global_step))
    codes = admissible_step_codes(tensors, step_codes, global_step)
    _, _, groups = tensor_layout(config)
    grid = embedding_grid(config) if in_context else None
    symbols = _quantized(tensors, codes, global_step)
    num_plain = num_finer = 0
    while True:
        try:
            return pack_segment(
                QuantizedTensors(global_step, codes, symbols),
                groups,
                grid=grid,
                num_plain=num_plain,
            )
        except TooDenseError as exc:  # embeddings of a clip at rest, say, which take hardly a byte
            dense = range(sum(groups[: exc.group]), sum(groups[: exc.group + 1]))
            finer = admissible_step_codes(tensors, shift_step_codes(codes, dense, -8), global_step)
            halves = _quantized(tensors, finer, global_step)
            is_settled = any(symbols[i].any() for i in dense) and all(
                np.array_equal(halves[i], 2 * symbols[i]) for i in dense
            )
            may_be_plain = grid is not None and exc.group > 0 and num_plain < groups[exc.group]
            if may_be_plain and (is_settled or finer == codes or num_finer == _MOST_FINER):
                num_plain += 1  # changes of 0 stay so at any step: value by value, then
            elif finer != codes:
                codes, symbols, num_finer = finer, halves, num_finer + 1
            else:
                raise RateError(
                    f"{exc}: the clip hardly changes; wish for more bytes, shorter segments "
                    "(--segment-frames), or fewer embeddings (--model-set embedding_channels=1)"
                ) from exc


def _quantized(
    tensors: Sequence[NDArray[np.float32]], codes: Sequence[int], global_step: float
) -> list[NDArray[np.int32]]:
    return [
        quantize(tensor, step_size(global_step, code))
        for tensor, code in zip(tensors, codes, strict=True)
    ]


def _initialise(model: str, config: NetworkConfig, seed: int) -> Network:
    with seeded(seed):
        return build(model, config)

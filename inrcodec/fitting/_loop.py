"""The fit: rate, forward, backward, step, log; for the last part through the quantiser.

In: the frames of one segment, `(N, 3, H, W)` uint8, and a network. Out: the tensors that the file
will store, and the quantiser steps they were fitted to. The optimiser is Adam (Kingma and Ba,
arXiv 1412.6980); what varies over the fit is a pure function of the used part of its budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from inrcodec.errors import InrcodecError
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._interrupt import InterruptFlag
from inrcodec.fitting._losses import LOSSES, psnr_of_mse
from inrcodec.fitting._precision import resolve_precision
from inrcodec.fitting._qat import Quantizer, stored_tensors
from inrcodec.fitting._schedules import learning_rate_factor
from inrcodec.models import Network

_LOG_SECONDS = 0.5
_SAVE_SECONDS = 30.0
_MSE_DECAY = 0.98
# How often, within its phase, the quantiser's step is adapted to the weights' drift.
_RATE_UPDATES = 8
_FRAMES_ON_DEVICE_BYTES = 8 << 30


@dataclass(frozen=True)
class FitProgress:
    """How far a fit is."""

    progress: float  # used part of the budget, 0 to 1
    steps: int
    frames_seen: int
    psnr_db: float  # of recent batches, as fitted
    quantized: bool  # whether those went through the quantiser


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves."""

    tensors: list[NDArray[np.float32]]  # flat: the decoder's parameters, then the embeddings
    step_codes: list[int]  # one a tensor
    global_step: float  # the one that the last steps went through
    steps: int
    seconds: float


class _Stopwatch:
    """Seconds of this fit, those before a resume included."""

    def __init__(self, earlier: float) -> None:
        self.start = time.perf_counter() - earlier

    def seconds(self) -> float:
        return time.perf_counter() - self.start


def fit(
    frames: Tensor,
    network: Network,
    config: FitConfig,
    *,
    num_bytes: float,
    device: torch.device,
    state: dict[str, Any] | None = None,
    on_progress: Callable[[FitProgress], None] = lambda progress: None,
    save: Callable[[dict[str, Any]], None] = lambda state: None,
    interrupt: InterruptFlag | None = None,
) -> FitResult | None:
    """Fit `network` to `frames` so that its stored tensors, quantised, take `num_bytes`.

    Args:
        frames: `(N, 3, H, W)` uint8 RGB.
        network: on the CPU, freshly initialised, with its encoder if it has one.
        config: the budget and how to spend it.
        num_bytes: what the entropy-coded tensors may take.
        device: where to compute.
        state: of an earlier `save`, to go on from.
        on_progress: called about twice a second.
        save: called about twice a minute, and on an interrupt, with the state between two steps.
        interrupt: when its flag is set, the fit saves its state and returns None.

    Raises:
        InrcodecError: the loss is no longer finite.
    """
    network = network.to(device=device, memory_format=torch.channels_last)
    frames = _place(frames, device)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.learning_rate, betas=config.betas, fused=True
    )
    quantizer = Quantizer()
    steps, rate_updates, clock = 0, 0, _Stopwatch(0.0)
    shape = network.embedding_shape
    latest_embeddings = None if shape is None else torch.zeros(len(frames), *shape, device=device)
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        quantizer.load_state(state["quantizer"])
        steps, rate_updates = state["steps"], state["rate_updates"]
        clock = _Stopwatch(state["seconds"])
        if latest_embeddings is not None:
            latest_embeddings.copy_(state["embeddings"])

    loss_of = LOSSES[config.loss]
    dtype = resolve_precision(config.precision, device)
    order = _FrameOrder(len(frames), config.batch_size, config.seed)
    quantized_from = 1 - config.qat_fraction
    mse = torch.zeros((), device=device)
    saved_at = logged_at = clock.seconds()

    while (progress := _progress(config, steps, order.steps_per_epoch, clock)) < 1:
        # Rate: when the quantised phase begins and now and then in it, meet the wished bytes.
        due = quantized_from + (1 - quantized_from) * rate_updates / _RATE_UPDATES
        if progress >= due and rate_updates < _RATE_UPDATES and config.qat_fraction > 0:
            if rate_updates == 0:
                _allocate(quantizer, network, frames, config.seed)
                latest_embeddings = embed_all(network, frames)
            quantizer.meet(stored_tensors(network, latest_embeddings), num_bytes)
            rate_updates += 1

        factor = learning_rate_factor(
            progress, warmup=config.warmup, final_factor=config.final_factor
        )
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * factor

        indices = order.batch(steps)
        x = frame_batch(frames, indices, device)  # (B, 3, H, W) in [0, 1]
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            embeddings = network.embed(x) if network.encoder is not None else None
            weights = {}
            if quantizer.ready:
                weights = quantizer.decoder_weights(network)
                embeddings = None if embeddings is None else quantizer.embeddings(embeddings)
            x_hat = functional_call(network, weights, (indices.to(device), embeddings))
        loss = loss_of(x_hat, x)

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        optimizer.step()
        steps += 1

        with torch.no_grad():
            if latest_embeddings is not None and embeddings is not None:
                latest_embeddings[indices.to(device)] = embeddings.detach().float()
            batch_mse = torch.mean((x_hat.detach().float() - x) ** 2)
            mse = batch_mse if steps == 1 else mse + (1 - _MSE_DECAY) * (batch_mse - mse)

        now = clock.seconds()
        if now - logged_at > _LOG_SECONDS:
            logged_at = now
            if not bool(torch.isfinite(mse)):
                raise InrcodecError(f"the fit diverged at step {steps}: lower the learning rate")
            psnr_db = float(psnr_of_mse(mse))
            seen = order.frames_seen(steps)
            on_progress(FitProgress(progress, steps, seen, psnr_db, quantizer.ready))
        interrupted = interrupt is not None and interrupt.requested
        if interrupted or now - saved_at > _SAVE_SECONDS:
            saved_at = now
            save(
                {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "quantizer": quantizer.state(),
                    "embeddings": latest_embeddings,
                    "steps": steps,
                    "rate_updates": rate_updates,
                    "seconds": now,
                }
            )
            if interrupted:
                return None

    embeddings = embed_all(network, frames)
    tensors = stored_tensors(network, embeddings)
    if not quantizer.ready:
        _allocate(quantizer, network, frames, config.seed)
        quantizer.meet(tensors, num_bytes)
    return FitResult(tensors, quantizer.step_codes, quantizer.global_step, steps, clock.seconds())


def frame_batch(frames: Tensor, indices: Tensor, device: torch.device) -> Tensor:
    """Return the frames at `indices` as `(B, 3, H, W)` float32 in [0, 1] on `device`."""
    batch = frames[indices.to(frames.device)].to(device, non_blocking=True)
    return (batch.float() / 255).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def embed_all(network: Network, frames: Tensor) -> Tensor | None:
    """Return the embeddings of all frames, `(N, C, h, w)` float32, or None if it has none."""
    if network.encoder is None:
        return None
    device = next(network.parameters()).device
    parts = [
        network.embed(frame_batch(frames, torch.tensor([i]), device)).float()
        for i in range(len(frames))
    ]
    return torch.cat(parts)


class _FrameOrder:
    """Which frames a step sees: a shuffle of all of them every epoch, from the seed alone."""

    def __init__(self, num_frames: int, batch_size: int, seed: int) -> None:
        self.num_frames = num_frames
        self.batch_size = min(batch_size, num_frames)
        self.seed = seed
        self.steps_per_epoch = -(-num_frames // self.batch_size)
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Tensor:
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
            self._order = torch.randperm(self.num_frames, generator=generator)
            self._epoch = epoch
        return self._order[position * self.batch_size : (position + 1) * self.batch_size]

    def frames_seen(self, steps: int) -> int:
        epochs, position = divmod(steps, self.steps_per_epoch)
        return epochs * self.num_frames + min(position * self.batch_size, self.num_frames)


def _progress(config: FitConfig, steps: int, steps_per_epoch: int, clock: _Stopwatch) -> float:
    if config.epochs is not None:
        return steps / (config.epochs * steps_per_epoch)
    assert config.seconds is not None  # FitConfig admits no third way
    return clock.seconds() / config.seconds


def _place(frames: Tensor, device: torch.device) -> Tensor:
    """Keep the whole segment on the device when it is small enough for that."""
    if device.type == "cuda" and frames.numel() <= _FRAMES_ON_DEVICE_BYTES:
        return frames.to(device)
    return frames


def _allocate(quantizer: Quantizer, network: Network, frames: Tensor, seed: int) -> None:
    device = next(network.parameters()).device
    indices = torch.linspace(0, len(frames) - 1, min(4, len(frames))).long()
    batch = frame_batch(frames, indices, device)
    quantizer.allocate(network, batch, num_frames=len(frames), seed=seed)

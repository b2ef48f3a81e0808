"""The fit: rate, forward, backward, step, log; for the last part through the quantiser.

In: the frames of one segment, `(N, 3, H, W)` uint8, and a network. Out: the tensors that the file
will store, and the quantiser steps they were fitted to. What varies over the fit is a pure function
of the used part of its budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from inrcodec._memory import keep_freed_memory
from inrcodec.errors import InrcodecError
from inrcodec.fitting._averaging import WeightAverage
from inrcodec.fitting._batches import frame_batch, place_frames
from inrcodec.fitting._coarse import coarse_share, expected_steps
from inrcodec.fitting._coded_quality import coded_psnr_db
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._ending import Ending
from inrcodec.fitting._interrupt import InterruptFlag
from inrcodec.fitting._losses import LOSSES, psnr_of_mse
from inrcodec.fitting._optimizers import (
    build_optimizers,
    is_capturable,
    load_optimizer,
    longest_side,
)
from inrcodec.fitting._order import FrameOrder
from inrcodec.fitting._precision import fp32_arithmetic, resolve_precision, tf32_arithmetic
from inrcodec.fitting._progress import FitProgress, FitResult
from inrcodec.fitting._qat import CodedBytes
from inrcodec.fitting._rate_control import RateControl
from inrcodec.fitting._schedules import (
    STEPS_ARE_KNOWN,
    grown_rate,
    learning_rate_factor,
    rate_for_side,
)
from inrcodec.fitting._squared_error import LOSSES_OF_MSE, PackedError
from inrcodec.fitting._step_graph import StepGraph
from inrcodec.models import Network

_LOG_SECONDS = 0.5
_SAVE_SECONDS = 30.0
_MSE_DECAY = 0.98


def fit(
    frames: Tensor,
    network: Network,
    config: FitConfig,
    *,
    num_bytes: float,
    coded_bytes: CodedBytes | None = None,
    device: torch.device,
    goal_db: float | None = None,
    motion: Tensor | None = None,
    state: dict[str, Any] | None = None,
    seconds_left: float | None = None,
    on_progress: Callable[[FitProgress], None] = lambda progress: None,
    on_quantize: Callable[[dict[str, Any]], None] = lambda state: None,
    save: Callable[[dict[str, Any]], None] = lambda state: None,
    interrupt: InterruptFlag | None = None,
) -> FitResult | None:
    """Fit `network` to `frames` so that its stored tensors, quantised, take `num_bytes`.

    Args:
        frames: `(N, 3, H, W)` uint8 RGB.
        network: on the CPU, freshly initialised, with its encoder if it has one.
        config: the budget and how to spend it.
        num_bytes: what the coded tensors may take, side information included.
        coded_bytes: codes tensors and counts, for a few times within the fit; None to estimate.
        device: where to compute.
        goal_db: mean RGB PSNR at which the quantised network is good enough: the fit ends there.
        motion: `(N, 2, r, c)` where a network with motion starts from, see `Network.calibrate`.
        state: of an earlier `save`, to go on from.
        seconds_left: within which a fit that goes on must be over, if that is less than its budget
            leaves; None for what it leaves.
        on_progress: called about twice a second.
        on_quantize: called with the state before the quantised phase, or before the end of a fit
            too short for one, from which the fit may go on with other `num_bytes`; it is of tensors
            that the fit changes later.
        save: called about twice a minute, and on an interrupt, with the state between two steps.
        interrupt: when its flag is set, the fit saves its state and returns None.

    Raises:
        InrcodecError: the loss is no longer finite.
    """
    called = time.perf_counter()
    run = _Fit(
        frames,
        network,
        config,
        num_bytes=num_bytes,
        coded_bytes=coded_bytes,
        device=device,
        goal_db=goal_db,
        motion=motion,
        is_fresh=state is None,
    )
    if state is not None:
        run.load_state(state)
        if seconds_left is not None:
            seconds_left -= time.perf_counter() - called
            run.ending.clock.finish_in(max(0.0, seconds_left), used=run.seconds())
    saved_at = logged_at = run.seconds()
    while (progress := run.progress()) < 1:
        since = run.used()
        if run.rate.begins(progress):
            on_quantize(run.state())
        if run.meet_rate(progress):
            if run.reaches_goal():
                break
            # That took as long as many steps, which the phase must have: it is no progress.
            run.ending.clock.skip(since=since, used=run.used())
        run.measure_rounding(progress)
        run.set_learning_rate(progress)
        run.set_resolution(progress)
        if run.step():
            run.end_early_if_done(progress)
        now = run.seconds()
        if now - logged_at > _LOG_SECONDS:
            logged_at = now
            on_progress(run.report(progress))
        if interrupt is not None and interrupt.requested:
            save(run.state())
            return None
        if now - saved_at > _SAVE_SECONDS:
            saved_at = now
            save(run.state())
    if not run.rate.quantizes:
        on_quantize(run.state())
    return run.result()


class _Fit:
    """A running fit: what changes from step to step, and the parts of a step."""

    def __init__(
        self,
        frames: Tensor,
        network: Network,
        config: FitConfig,
        *,
        num_bytes: float,
        coded_bytes: CodedBytes | None = None,
        device: torch.device,
        goal_db: float | None = None,
        motion: Tensor | None = None,
        is_fresh: bool = True,
    ) -> None:
        self.started = time.perf_counter()
        self.config = config
        self.device = device
        self.network = network.to(device).to(memory_format=torch.channels_last).train()
        self.frames = place_frames(frames, device)
        if is_fresh:
            network.calibrate(self.frames, motion)
        self.order = FrameOrder(
            len(frames), config.batch_size, config.seed, device=self.frames.device
        )
        keep_freed_memory()  # of rate control too, which computes on the CPU
        self.dtype = resolve_precision(config.precision, device)
        # With a fixed memory for all that a step reads and changes, it may be a CUDA graph.
        has_graph = (
            device.type == "cuda"
            and self.frames.is_cuda
            and network.config.is_recordable
            and is_capturable(config)
        )
        self.learning_rate = rate_for_side(
            config.learning_rate, config.rate_side, longest_side(network)
        )
        self.optimizers = build_optimizers(network, config, dtype=self.dtype, capturable=has_graph)
        self.packed_error = None
        if config.loss in LOSSES_OF_MSE and network.packing is not None:
            self.packed_error = PackedError(network, self.frames)
        self.coarse_share = coarse_share(
            config, network, device=device, is_packed=self.packed_error is not None
        )
        self.coarse_error: PackedError | None = None  # while steps are coarse
        self.average = WeightAverage(network, fraction=config.ema) if config.ema else None
        self.rate = RateControl(
            network,
            self.frames,
            config,
            num_bytes=num_bytes,
            coded_bytes=coded_bytes,
            device=device,
        )
        self.graph = None
        if has_graph:
            self.graph = StepGraph(batch_size=self.order.batch_size, device=device)
        self.steps = 0
        self.rate_factor = 0.0  # of the learning rate, as a part of its peak
        self.mse = torch.zeros((), device=device)
        self.ending = Ending(
            config,
            goal_db=goal_db,
            steps_per_epoch=self.order.steps_per_epoch,
            device=device,
        )
        # Of the whole fit; the learning rate's peak depends on it.
        self.expected_steps = self.ending.clock.budget if config.seconds is None else 0.0

    def seconds(self) -> float:
        """Seconds of this fit, those before a resume included."""
        return time.perf_counter() - self.started

    def progress(self) -> float:
        """How far the schedules are: the used part of the budget, unless the fit ends early."""
        return self.ending.clock.progress(self.used())

    def used(self) -> float:
        """What is used of the budget, in its unit."""
        return self.steps if self.config.seconds is None else self.seconds()

    def meet_rate(self, progress: float) -> bool:
        """When the quantised phase begins, and now and then in it, meet the wished bytes."""
        is_new = not self.rate.quantizes
        before = self.rate.quantizer.steps, self.rate.embeddings
        is_met = self.rate.meet(progress)
        if is_new and is_met:
            self.ending.quantized_from = self.steps
        after = self.rate.quantizer.steps, self.rate.embeddings
        is_same = all(a is b for a, b in zip(before, after, strict=True))
        if is_met and not is_same and self.graph is not None:
            self.graph.renew()
        return is_met

    def measure_rounding(self, progress: float) -> None:
        """A few times before the quantised phase, see what rounding at once would take."""
        if not self.rate.quantizes and self.ending.wants_rounding(progress):
            self.ending.rounding_measured(self.rate.rounding_loss_db(), progress=progress)
            if self.graph is not None:
                self.graph.renew()

    def reaches_goal(self) -> bool:
        """Whether the file would reach the goal now, the rate being met: then the fit is over."""
        if self.ending.goal_db is None:
            return False
        stored = self._stored_network()
        embeddings = self.rate.embed_all(stored)
        found_db = coded_psnr_db(stored, self.rate.quantizer, self.frames, embeddings)
        return self.ending.reached(found_db, used=self.used())

    def end_early_if_done(self, progress: float) -> None:
        """Before the quantised phase: begin the end when the goal is passed, or on a plateau."""
        if not self.rate.quantizes:
            self.ending.consider(self.frames, rate_factor=self.rate_factor, used=self.used())

    def set_learning_rate(self, progress: float) -> None:
        """Follow the schedule up to a peak that depends on how many steps the budget allows."""
        config = self.config
        is_known = config.seconds is None or progress >= STEPS_ARE_KNOWN
        if not is_known or not self.expected_steps:
            self.expected_steps = expected_steps(self.steps, progress, coarse=self.coarse_share)
        peak = grown_rate(self.learning_rate, config.rate_growth, self.expected_steps)
        self.rate_factor = learning_rate_factor(
            progress,
            warmup=config.warmup,
            final_factor=config.final_factor,
            warmup_start=config.warmup_start,
            schedule=config.schedule,
            decay=config.decay,
        )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(peak * self.rate_factor)
                else:
                    group["lr"] = peak * self.rate_factor

    def set_resolution(self, progress: float) -> None:
        """Fit to small frames in the first part of the budget, then to those of the source."""
        is_coarse = progress < self.coarse_share
        if is_coarse == (self.coarse_error is not None):
            return
        self.coarse_error = None
        if is_coarse:
            scale = self.network.coarse_stride
            self.coarse_error = PackedError(self.network, self.frames, scale=scale)
        if self.graph is not None:
            self.graph.renew()

    def step(self) -> bool:
        """Forward, backward, and a step of the optimiser on the next batch.

        Returns:
            Whether it ends a point of the curve.
        """
        indices = self.order.batch(self.steps)
        if self.graph is None:
            errors = self._computed(indices)
        else:
            errors = self.graph(self._computed, indices)
        with torch.no_grad():
            mse = errors.mean()
            self.mse = mse if self.steps == 0 else self.mse + (1 - _MSE_DECAY) * (mse - self.mse)
        self.steps += 1
        if self.coarse_error is not None:
            return False  # errors of small frames say little of what the file will have
        return self.ending.curve.add(errors, steps=self.steps)

    def report(self, progress: float) -> FitProgress:
        """Say how far the fit is."""
        if not bool(torch.isfinite(self.mse)):
            raise InrcodecError(f"the fit diverged at step {self.steps}: lower the learning rate")
        psnr_db = float(psnr_of_mse(self.mse))
        seen = self.order.frames_seen(self.steps)
        end = self.ending.forecast(used=self.used(), coarse=self.coarse_share)
        return FitProgress(
            progress,
            self.steps,
            seen,
            psnr_db,
            self.rate.quantizes,
            self.seconds(),
            end,
            tuple(self.ending.curve.points),
            self.ending.rounding.noise,
            self.coarse_error is not None,
        )

    def result(self) -> FitResult:
        """Return what the file will store; what was not fitted through the quantiser meets it."""
        if self.average is not None:
            self.network.load_state_dict(self.average.module.state_dict())
        tensors = self.rate.end()
        return FitResult(
            tensors,
            self.rate.quantizer.step_codes,
            self.rate.quantizer.global_step,
            self.steps,
            self.seconds(),
            self.ending.stopped,
            self.ending.clock.used_share,
            self.config.codes_in_context,
        )

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": None if self.average is None else self.average.state_dict(),
            "rate": self.rate.state(),
            "mse": self.mse,
            "ending": self.ending.state(),
            "steps": self.steps,
            "expected_steps": self.expected_steps,
            "seconds": self.seconds(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.network.load_state_dict(state["network"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            load_optimizer(optimizer, kept)
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.rate.load_state(state["rate"])
        self.mse = state["mse"].to(self.device)
        self.ending.load_state(state["ending"])
        self.steps = state["steps"]
        self.expected_steps = state["expected_steps"]
        self.started -= state["seconds"]

    def _computed(self, indices: Tensor) -> Tensor:
        """Take a step on the frames at `indices` `(B,)`; return their MSEs before it, `(B,)`."""
        x = None  # (B, 3, H, W) in [0, 1]
        encodes_frames = self.network.encodes_frames and not self.rate.settled
        if encodes_frames or self.packed_error is None:
            x = frame_batch(self.frames, indices, self.device)
        indices = indices.to(self.device)
        form = {"packed": self.packed_error is not None}
        if self.coarse_error is not None:
            form["coarse"] = True
        with self._arithmetic():
            embeddings = self.rate.embed(x, indices)
            exact, weights = embeddings, {}
            if self.rate.quantizes:
                weights = self.rate.decoder_weights()
                if embeddings is not None:
                    embeddings = self.rate.quantizer.embeddings(embeddings)
            x_hat = functional_call(self.network, weights, (indices, embeddings), form)
        with self._exact():
            loss, errors = self._loss(x_hat, indices, x)
            loss = self.rate.added_to(loss, exact, indices)
            self.network.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
        if self.config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.rate.quantizer.learn(self.rate_factor)
        if self.average is not None:
            self.average.update_parameters(self.network)

        self.rate.remember(exact, indices)
        return errors

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """Compute the network in the fit's dtype."""
        is_low = self.dtype != torch.float32
        with self._exact(), torch.autocast(self.device.type, self.dtype, enabled=is_low):
            yield

    def _exact(self) -> AbstractContextManager[None]:
        """Keep what is fp32 in fp32, where the fit is to be: a GPU has other ideas of it."""
        if self.config.precision == "tf32":
            return tf32_arithmetic()
        return fp32_arithmetic() if self.dtype == torch.float32 else nullcontext()

    def _stored_network(self) -> Network:
        """What would be stored now: the average of the weights, if there is one."""
        if self.average is None:
            return self.network
        module = self.average.module
        assert isinstance(module, Network)  # whose copy it is
        return module

    def _loss(self, x_hat: Tensor, indices: Tensor, x: Tensor | None) -> tuple[Tensor, Tensor]:
        """Compare the batch, and what else the network made of it; the loss and MSEs `(B,)`."""
        if packed_error := self.coarse_error or self.packed_error:
            mse = packed_error(x_hat, indices)
            return LOSSES_OF_MSE[self.config.loss](mse), mse.detach()
        assert x is not None  # the caller made it
        compare = LOSSES[self.config.loss]
        loss = compare(x_hat, x)
        for rendition in self.network.auxiliary():
            loss = loss + self.config.auxiliary_weight * compare(rendition, x)
        return loss, torch.mean((x_hat.detach().float() - x) ** 2, dim=(1, 2, 3))

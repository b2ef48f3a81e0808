"""One fit of a segment, as whoever makes it is given it: here, in a worker, or as a task of ray.

In: frames, a network and what is wished. Out: a `FitResult`, and the states that a checkpoint has
of a fit on the way there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from inrcodec._segment_encode import SegmentJob, fit_segment
from inrcodec._session import Session
from inrcodec.errors import CheckpointError, TimeError
from inrcodec.fitting import FitProgress, FitResult, InterruptFlag, unpack_state
from inrcodec.models import NetworkConfig


@dataclass(frozen=True)
class SharedTime:
    """What is left for fits of a segment that go on from the same base."""

    seconds: float  # for one of them and all that come after it
    num_after: int

    def seconds_of(self, unspent: float, budget: float, qat_fraction: float) -> float:
        """Return what the one has, with so much of its budget unspent.

        >>> SharedTime(60, num_after=2).seconds_of(30, budget=100, qat_fraction=0.25)
        22.5
        """
        all_unspent = unspent + self.num_after * qat_fraction * budget
        return self.seconds * unspent / all_unspent if all_unspent > 0 else self.seconds


@dataclass(frozen=True)
class FitTask:
    """A fit that is not finished."""

    key: str  # unique in the session
    stage: str  # what is shown of it
    frames: Tensor  # (N, 3, H, W) uint8
    config: NetworkConfig
    part: SegmentJob
    state: dict[str, Any] | None = None  # that it goes on from
    seconds_left: float | None = None

    @classmethod
    def of(
        cls,
        frames: Tensor,
        config: NetworkConfig,
        part: SegmentJob,
        *,
        key: str,
        stage: str,
        session: Session,
        base_key: str | None = None,
        base: SharedTime | None = None,
    ) -> FitTask:
        """Go on with what the session has of the fit, if it has anything.

        Raises:
            CheckpointError: that is of another network.
        """
        task = cls(key, stage, frames, config, part)
        state = session.fit_states.get(key)
        if state is None and base_key in session.bases:
            state = unpack_state(session.bases[base_key])
        if state is None:
            return task
        check_kept(state, config, session)
        seconds_left = None
        if part.fit.seconds is not None:
            # The schedule of an interrupted fit goes on as it was planned, only faster where
            # reading the clip again took of its time, or where the call has less.
            seconds_left, budget = part.fit.seconds, state["budget_seconds"]
            if base is not None:
                unspent = budget - state["seconds"]
                seconds_left = base.seconds_of(unspent, budget, part.fit.qat_fraction)
            part = replace(part, fit=replace(part.fit, seconds=budget))
        return replace(task, part=part, state=state, seconds_left=seconds_left)

    @property
    def bpp(self) -> float:
        """Bits per pixel that are wished of the segment."""
        num_frames, _, height, width = self.frames.shape
        return 8 * self.part.num_bytes / (num_frames * height * width)

    def run(
        self,
        *,
        on_progress: Callable[[FitProgress], None],
        on_quantize: Callable[[dict[str, Any]], None] = lambda state: None,
        save: Callable[[dict[str, Any]], None],
        interrupt: InterruptFlag,
    ) -> FitResult | None:
        """Make the fit; None when interrupted, after its state was saved.

        Raises:
            TimeError: its seconds are used up before a step.
        """

        def kept(state: dict[str, Any]) -> dict[str, Any]:
            seconds = self.part.fit.seconds
            return {**state, "budget_seconds": seconds, "shape": _shape(self.config)}

        result = fit_segment(
            self.frames,
            self.config,
            self.part,
            state=self.state,
            seconds_left=self.seconds_left,
            on_progress=on_progress,
            on_quantize=lambda state: on_quantize(kept(state)),
            save=lambda state: save(kept(state)),
            interrupt=interrupt,
        )
        if result is not None and result.steps == 0 and result.stopped == "budget":
            raise TimeError("the time is too short: it is used up before a step of the fit")
        return result

    def finish(self, result: FitResult, session: Session) -> None:
        """Keep the result in the session."""
        session.finish(self.key, {**_storable(result), "shape": _shape(self.config)})


def finished(key: str, config: NetworkConfig, session: Session) -> FitResult | None:
    """Return what the session has of a finished fit.

    Raises:
        CheckpointError: it is of another network.
    """
    stored = session.finished.get(key)
    if stored is None:
        return None
    check_kept(stored, config, session)
    told = {name: value for name, value in stored.items() if name != "shape"}
    tensors = [tensor.numpy() for tensor in stored["tensors"]]
    return FitResult(**{**told, "tensors": tensors})


def check_kept(kept: dict[str, Any], config: NetworkConfig, session: Session) -> None:
    """Check that a checkpoint has a fit of this network.

    Which one an encode takes depends on the number of threads too.

    Raises:
        CheckpointError: it is of another.
    """
    if kept["shape"] != _shape(config):
        raise CheckpointError(
            f"{session.path} has a fit of another network: resume with the same call and as many "
            "threads, or delete it"
        )


def _shape(config: NetworkConfig) -> str:
    return json.dumps(config.to_dict(), sort_keys=True)


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

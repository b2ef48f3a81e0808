"""One encode that can be interrupted: its checkpoint beside the output, and whom it belongs to.

The checkpoint holds finished fits, the clip's motion, the running fits, and of a ladder the states
that its fits of a segment go on from. It belongs to one source and one set of options: a resume
with others is refused rather than mixed.
"""

from __future__ import annotations

import json
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from inrcodec.errors import CheckpointError, Interrupted
from inrcodec.fitting import load_checkpoint, save_checkpoint

MOTIONS = "motions"
"""Under which a checkpoint has the clip's motion, among what is finished."""

_LAYOUT = 15  # of what a checkpoint holds; those of other versions are refused


class Session:
    """The state of an encode to `output`, on disk in `output` + `.ckpt`.

    Args:
        output: the file that is being made.
        options: everything that the result depends on but the frames; plain values.
        frames: `(N, 3, H, W)` uint8, of which a checksum goes into the fingerprint.
        time_seconds: of the whole encode, if it is bound.
        resume: whether to go on from an earlier checkpoint, if there is one.
        started: `time.perf_counter()` when the encode began.

    Raises:
        CheckpointError: the checkpoint is damaged, or of another source or other options.
    """

    def __init__(
        self,
        output: Path,
        options: Mapping[str, Any],
        frames: Tensor,
        *,
        time_seconds: float | None = None,
        resume: bool,
        started: float,
    ) -> None:
        self.path = checkpoint_path(output)
        crc = zlib.crc32(np.ascontiguousarray(frames.numpy()).data)
        self.options = {**options, "frames_crc32": crc, "checkpoint_layout": _LAYOUT}
        self.finished: dict[str, dict[str, Any]] = {}
        self.fit_states: dict[str, dict[str, Any]] = {}
        self.bases: dict[str, Tensor] = {}  # packed states, that several fits go on from
        self.ends: dict[str, float | None] = {}  # of rounds: seconds until which they may take
        # Seconds by stage, those before a resume included.
        self.spent = {"read": 0.0, "motion": 0.0, "fit": 0.0}
        self._counted_until: float | None = None  # of the fits that are running
        self.time_seconds = time_seconds  # as the first call had it
        self.started = started
        if resume and self.path.exists():
            self._load()

    def seconds(self) -> float:
        """Seconds of the whole encode so far, those before a resume included."""
        return time.perf_counter() - self.started

    def spend(self, stage: str, seconds: float) -> None:
        """Count what a stage before the fits took."""
        self.spent[stage] += seconds

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Count the seconds of this block as those of fits, and in a checkpoint those so far."""
        self._counted_until = time.perf_counter()
        try:
            yield
        finally:
            self._count_fits()
            self._counted_until = None

    def _count_fits(self) -> None:
        if self._counted_until is not None:
            now = time.perf_counter()
            self.spend("fit", now - self._counted_until)
            self._counted_until = now

    @property
    def is_new(self) -> bool:
        """Whether there is nothing to go on from."""
        return not (self.finished or self.fit_states or self.bases)

    def knows(self, *keys: str) -> bool:
        """Whether there is something of a fit, under one of these keys, to go on from."""
        there = {*self.finished, *self.fit_states, *self.bases}
        return not there.isdisjoint(keys)

    def save_fit(self, key: str, state: dict[str, Any]) -> None:
        """Keep the running fit `key`, on the disk."""
        self.fit_states[key] = state
        self.save()

    def remember(self, key: str, result: dict[str, Any]) -> None:
        """Keep what came before the fits, on the disk as soon as one of them is there."""
        self.finished[key] = result

    def finish(self, key: str, result: dict[str, Any]) -> None:
        """Keep the result of the fit `key`."""
        self.finished[key] = result
        self.fit_states.pop(key, None)
        self.save()

    def remove(self) -> None:
        """Delete the checkpoint: the encode is done."""
        self.path.unlink(missing_ok=True)

    def interrupted(self) -> Interrupted:
        """Return the error that says how to go on."""
        return Interrupted(
            f"interrupted; {self.path} keeps what was done: go on with the same call and --resume"
        )

    def save(self) -> None:
        """Write the checkpoint."""
        self._count_fits()
        save_checkpoint(
            self.path,
            {
                "options": json.dumps(self.options, sort_keys=True),
                "seconds": self.seconds(),
                "spent": self.spent,
                "time_seconds": self.time_seconds,
                "finished": self.finished,
                "fits": self.fit_states,
                "bases": self.bases,
                "ends": self.ends,
            },
        )

    def _load(self) -> None:
        state = load_checkpoint(self.path)
        try:
            options = json.loads(state["options"])
            seconds, self.spent = state["seconds"], state["spent"]
            wished, self.time_seconds = self.time_seconds, state["time_seconds"]
            self.finished, self.fit_states = state["finished"], state["fits"]
            self.bases, self.ends = state["bases"], state["ends"]
        except (KeyError, TypeError, ValueError) as exc:
            raise CheckpointError(f"{self.path} is no checkpoint of an encode; delete it") from exc
        mine = json.loads(json.dumps(self.options))
        differ = sorted(k for k in {*mine, *options} if mine.get(k) != options.get(k))
        if differ:
            raise CheckpointError(
                f"{self.path} is of another encode: {', '.join(differ)} differ; "
                "resume with the same call, or delete it"
            )
        self.started -= seconds
        if wished is None or self.time_seconds is None:
            return
        # The imports that a command takes out of its time differ from call to call. Less time is
        # kept to: the schedules then run faster.
        if wished - self.time_seconds > max(10.0, 0.05 * self.time_seconds):
            warnings.warn(
                f"{self.path} goes on with the time that it began with, "
                f"{self.time_seconds:.0f} s in all",
                stacklevel=2,
            )


def checkpoint_path(output: Path) -> Path:
    """Return where the checkpoint of an encode to `output` lies."""
    return output.with_name(output.name + ".ckpt")

"""Which frames a step of the fit sees."""

from __future__ import annotations

import torch
from torch import Tensor


class FrameOrder:
    """A shuffle of all frames every epoch, from the seed alone.

    Args:
        num_frames: of the segment.
        batch_size: frames a step, at most.
        seed: of the shuffles.
        device: where the frames are, and their indices then.
    """

    def __init__(
        self,
        num_frames: int,
        batch_size: int,
        seed: int,
        *,
        device: torch.device | None = None,
    ) -> None:
        self.device = device
        self.num_frames = num_frames
        self.batch_size = min(batch_size, num_frames)
        self.seed = seed
        self.steps_per_epoch = -(-num_frames // self.batch_size)
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Tensor:
        """Return the indices `(B,)` int64 of the frames of a step; an epoch's last may be fewer."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed((self.seed << 20) + epoch)
            self._order = torch.randperm(self.num_frames, generator=generator).to(self.device)
            self._epoch = epoch
        return self._order[position * self.batch_size : (position + 1) * self.batch_size]

    def frames_seen(self, steps: int) -> int:
        """Return how many frames so many steps have visited."""
        epochs, position = divmod(steps, self.steps_per_epoch)
        return epochs * self.num_frames + min(position * self.batch_size, self.num_frames)

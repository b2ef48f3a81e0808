"""The quantiser as the fit sees it: steps that meet the wished rate, straight-through gradients.

In: a network, its embeddings, the bytes that they may take. Out: weights and embeddings as the
decoder will have them, or on their way there, with gradients that reach the real-valued ones (arXiv
1308.3432, 2006.09952).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.models import Network
from inrcodec.quantization import (
    Grid,
    admissible_step_codes,
    allocate_step_codes,
    estimate_bytes,
    fake_quantize,
    output_sensitivity,
    range_step_codes,
    round_trajectories,
    shift_step_codes,
    soft_round,
    solve_global_step,
    step_size,
)

CodedBytes = Callable[[Sequence[NDArray[np.float32]], Sequence[int], float], int]
"""Bytes that flat tensors take in the file, side information included, with these step codes and
this global step."""

# Of the bytes wished: what the fit aims at, since the weights move on a little, and how near it is
# measured to come.
_AIM = 0.996
_NEAR = 0.002


@dataclass
class Quantizer:
    """Steps of every stored tensor: the decoder's parameters, then the embeddings' channels.

    `max_measurements` is how often all is coded at most until the bytes are met.
    """

    max_measurements: int = 4
    step_codes: list[int] = field(default_factory=list)
    global_step: float = 0.0
    steps: list[float] = field(default_factory=list)
    overhead_bytes: float = 0.0  # what the file takes beyond the estimate, as last measured
    _steps_on_device: Tensor | None = None

    @property
    def ready(self) -> bool:
        """Whether steps have been chosen."""
        return bool(self.steps)

    def allocate(
        self,
        network: Network,
        frames: Tensor,
        indices: Tensor,
        *,
        num_frames: int,
        seed: int,
        num_projections: int = 4,
    ) -> None:
        """Choose the step codes by the sensitivity of some of the `num_frames` frames.

        Args:
            network: as fitted so far.
            frames: `(B, 3, H, W)` float in [0, 1].
            indices: `(B,)` which frames those are.
            num_frames: of the segment.
            seed: of the random projections.
            num_projections: how many; each costs a step, and the more, the surer the choice.
        """
        parameters = list(network.decoder.parameters())
        channels: list[Tensor] = []  # each (B, h, w)
        indices = indices.to(frames.device)
        if network.encoder is not None:
            embeddings = network.embed(frames, indices).detach().float()
            channels = [channel.requires_grad_() for channel in embeddings.unbind(1)]
        sensitivities = output_sensitivity(
            lambda: network(indices, torch.stack(channels, 1) if channels else None),
            [*parameters, *channels],
            generator=torch.Generator().manual_seed(seed),
            num_projections=num_projections,
        )
        # A weight disturbs every frame, an embedding the one it belongs to.
        shares = [1 / len(frames)] * len(parameters) + [1 / num_frames] * len(channels)
        sizes = [p.numel() for p in parameters]
        sizes += [channel[0].numel() * num_frames for channel in channels]
        self.step_codes = allocate_step_codes(
            [s * share for s, share in zip(sensitivities, shares, strict=True)], sizes
        )

    def allocate_by_range(self, tensors: Sequence[NDArray[np.float32]]) -> None:
        """Choose the step codes so that the ranges of all `tensors` have as many steps."""
        self.step_codes = range_step_codes(tensors)

    def shift_codes(self, tensors: Iterable[int], by: int) -> None:
        """Make the steps of some tensors coarser by so many eighths of an octave, or finer."""
        self.step_codes = shift_step_codes(self.step_codes, tensors, by)

    def meet(
        self,
        tensors: list[NDArray[np.float32]],
        num_bytes: float,
        *,
        grids: Sequence[Grid | None],
        coded_bytes: CodedBytes | None = None,
    ) -> None:
        """Choose the global step at which `tensors` take `num_bytes` in the file, nearly.

        The weights adapt to this very step: a file that needs a coarser one loses what they learned
        (0.6 dB after 10 min of Bunny, benchmarks/notes/flagship.md). So now and then the estimate
        is put right by what the file really takes.

        Args:
            tensors: flat float32 arrays.
            num_bytes: what they may take, side information included.
            grids: of each tensor that runs over frames their number, rows and columns.
            coded_bytes: codes them and counts; None to trust the overhead as last measured.
        """
        aim = _AIM * num_bytes

        def solve() -> float:
            wish = aim - self.overhead_bytes
            return solve_global_step(tensors, self.step_codes, wish, grids=grids)

        step = solve()
        for _ in range(self.max_measurements):
            if coded_bytes is None:
                break
            found = coded_bytes(tensors, self.step_codes, step)
            if abs(found - aim) <= _NEAR * num_bytes:
                break
            expected = estimate_bytes(tensors, self.step_codes, step, grids=grids)
            self.overhead_bytes = found - expected
            step = solve()
        self.take_global_step(tensors, step)

    @property
    def settles(self) -> bool:
        """Whether steps move that are to `settle` in the middle of the phase."""
        return False

    def settle(self) -> None:
        """Keep the steps from now on, but for what the next `meet` does: weights adapt to them."""

    def found_bytes(
        self,
        tensors: list[NDArray[np.float32]],
        *,
        grids: Sequence[Grid | None],
        coded_bytes: CodedBytes | None = None,
    ) -> float:
        """Return what `tensors` take in the file with the steps there are, measured or expected.

        The arguments are those of `meet`.
        """
        expected = estimate_bytes(tensors, self.step_codes, self.global_step, grids=grids)
        if coded_bytes is not None:
            found = coded_bytes(tensors, self.step_codes, self.global_step)
            self.overhead_bytes = found - expected
        return expected + self.overhead_bytes

    def correct(
        self,
        tensors: list[NDArray[np.float32]],
        found_bytes: float,
        aim_bytes: float,
        *,
        grids: Sequence[Grid | None],
    ) -> bool:
        """Choose the global step anew, since these steps gave `found_bytes` for `aim_bytes`.

        Args:
            tensors: before they were rounded.
            found_bytes: what they took, rounded.
            aim_bytes: what they are to take.
            grids: as `meet` has them.

        Returns:
            Whether it is another one.
        """
        before = self.global_step
        expected = estimate_bytes(tensors, self.step_codes, before, grids=grids)
        wish = aim_bytes - (found_bytes - expected)
        step = solve_global_step(tensors, self.step_codes, wish, grids=grids)
        self.take_global_step(tensors, step)
        return step != before

    def take_global_step(self, tensors: list[NDArray[np.float32]], global_step: float) -> None:
        """Choose the global step; `tensors` as in `meet`."""
        self.global_step = global_step
        codes = admissible_step_codes(tensors, self.step_codes, self.global_step)
        self.steps = [float(step_size(self.global_step, code)) for code in codes]
        self._steps_on_device = None

    def decoder_weights(self, network: Network) -> dict[str, Tensor]:
        """The decoder's parameters, quantised, under the names that `functional_call` takes."""
        named = network.decoder.named_parameters()
        return {
            f"decoder.{name}": fake_quantize(parameter, step)
            for (name, parameter), step in zip(named, self.steps, strict=False)
        }

    def softened_weights(self, network: Network, hardness: Tensor) -> dict[str, Tensor]:
        """`decoder_weights`, only drawn towards what they will be: see `soft_round`."""
        named = network.decoder.named_parameters()
        return {
            f"decoder.{name}": soft_round(parameter, step, hardness=hardness)
            for (name, parameter), step in zip(named, self.steps, strict=False)
        }

    def embeddings(self, embeddings: Tensor) -> Tensor:
        """Embeddings `(B, C, h, w)`, quantised, each channel by its own step."""
        return fake_quantize(embeddings.float(), self._steps_of(embeddings))

    def settled_embeddings(self, embeddings: Tensor, lmbda: float) -> Tensor:
        """Those of all frames `(N, C, h, w)`, quantised with the rate of their changes in mind.

        Contiguous, as they come from a checkpoint: last bits of what is computed depend on that.
        """
        steps = self._steps_of(embeddings)
        return (round_trajectories(embeddings / steps, lmbda) * steps).contiguous()

    def _steps_of(self, embeddings: Tensor) -> Tensor:
        """The steps of the channels, `(1, C, 1, 1)`."""
        channels = embeddings.shape[1]
        if self._steps_on_device is None:
            self._steps_on_device = torch.tensor(self.steps, device=embeddings.device)
        return self._steps_on_device[-channels:].view(1, channels, 1, 1)

    def rate_term(
        self, network: Network, embeddings: Tensor | None, stored: Tensor | None
    ) -> Tensor | None:
        """What the loss gets for the bits of a step; none here, where they are met by the steps."""
        return None

    def learn(self, rate_factor: float) -> None:
        """Move the steps by their gradients; these have none."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {
            "codes": self.step_codes,
            "global_step": self.global_step,
            "steps": self.steps,
            "overhead_bytes": self.overhead_bytes,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.step_codes = list(state["codes"])
        self.global_step, self.steps = state["global_step"], list(state["steps"])
        self.overhead_bytes = state["overhead_bytes"]
        self._steps_on_device = None


def stored_tensors(network: Network, embeddings: Tensor | None) -> list[NDArray[np.float32]]:
    """Flat float32 copies of what a file stores: the decoder's parameters, then the channels of
    the embeddings `(N, C, h, w)`.
    """
    tensors = [p.detach() for p in network.decoder.parameters()]
    if embeddings is not None:
        tensors += embeddings.detach().unbind(1)
    return [np.array(t.contiguous().flatten().float().cpu().numpy()) for t in tensors]

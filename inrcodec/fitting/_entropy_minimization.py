"""Consistent entropy minimisation: steps that are learned, and one Gaussian a tensor for its rate.

In: a network, its embeddings, the bytes that they may take. Out: what `Quantizer` gives, and a term
of the loss. It is how Boosting-NeRV compresses (arXiv 2402.18152, section 3.4): the last part of
the fit goes through steps that are fitted too, with straight-through gradients in the distortion
and uniform noise in the rate, which counts while it is above its target. Other than theirs, steps
begin where they meet the target, and stay from the middle of that part on; embeddings have no
offset, and their Gaussians are the channels'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inrcodec.fitting._optim import Adam
from inrcodec.fitting._qat import CodedBytes, Quantizer
from inrcodec.models import Network
from inrcodec.quantization import MAX_STEP_CODE, MAX_SYMBOL, MIN_STEP_CODE, Grid, step_size

# Of the bytes wished: noise lets the rate stray by some thousandths about its target.
_AIM = 0.993
_NEAR, _CORRECTIONS = 0.002, 4  # of settled steps, which meet it
_WEIGHT = 2.0  # of the rate, as a part of its target, while it is above that
_LEAST_DEVIATION, _LEAST_PROBABILITY = 1e-5, 1e-5  # theirs
_OCTAVES = 0.1  # by which a step moves at most, at the learning rate's peak


class EntropyQuantizer(Quantizer):
    """A `Quantizer` whose steps follow the gradients of distortion and rate.

    Args:
        num_tensors: that the file stores.
        device: of the fit.
        seed: of the noise.
    """

    def __init__(self, num_tensors: int, *, device: torch.device, seed: int) -> None:
        super().__init__()
        self.log2_steps = nn.Parameter(torch.zeros(num_tensors, device=device))
        self.optimizer = Adam([self.log2_steps], lr=_OCTAVES)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.num_bits = math.inf  # by the Gaussians, that the file may have
        self.is_settled = self._settles = False

    def meet(
        self,
        tensors: list[NDArray[np.float32]],
        num_bytes: float,
        *,
        grids: Sequence[Grid | None],
        coded_bytes: CodedBytes | None = None,
    ) -> None:
        """Begin with steps that meet `num_bytes`; later, put the rate's target right.

        Steps that have just settled are made coarser or finer together until they meet it.
        """
        if not self.ready:
            super().meet(tensors, num_bytes, grids=grids, coded_bytes=coded_bytes)
            with torch.no_grad():
                self.log2_steps.copy_(torch.tensor(self.steps).log2())
        device = self.log2_steps.device
        values = [torch.from_numpy(tensor).to(device) for tensor in tensors]
        for _ in range(_CORRECTIONS if self._settles else 1):
            with torch.no_grad():
                expected = float(self._bits(values, self.log2_steps.exp2())) / 8
            if coded_bytes is not None:
                found = coded_bytes(tensors, self.step_codes, self.global_step)
                self.overhead_bytes = found - expected
            too_many = expected + self.overhead_bytes - _AIM * num_bytes
            if not self._settles or abs(too_many) < _NEAR * num_bytes:
                break
            octaves = 8 * too_many / sum(tensor.size for tensor in tensors)
            with torch.no_grad():
                self.log2_steps.add_(octaves)
            self.global_step *= 2.0**octaves
            self._take_learned_steps()
        self._settles = False
        self.num_bits = 8 * (_AIM * num_bytes - self.overhead_bytes)

    @property
    def settles(self) -> bool:
        """Whether the steps are learned, still."""
        return not self.is_settled

    def settle(self) -> None:
        """Keep the steps from now on, but for what the next `meet` does."""
        self.is_settled = self._settles = True

    def decoder_weights(self, network: Network) -> dict[str, Tensor]:
        """The decoder's parameters, quantised, with gradients for the steps too."""
        named = network.decoder.named_parameters()
        return {
            f"decoder.{name}": _quantized(parameter, step)
            for (name, parameter), step in zip(named, self._coded_steps(), strict=False)
        }

    def embeddings(self, embeddings: Tensor) -> Tensor:
        """Embeddings `(B, C, h, w)`, quantised, with gradients for the steps too."""
        channels = embeddings.shape[1]
        steps = self._coded_steps()[-channels:]
        return _quantized(embeddings.float(), steps.view(1, channels, 1, 1))

    def rate_term(
        self, network: Network, embeddings: Tensor | None, stored: Tensor | None
    ) -> Tensor | None:
        """Return what the loss gets for bits beyond the target, None where there are none.

        Args:
            network: as fitted so far.
            embeddings: of the batch, `(B, C, h, w)`, before they are quantised.
            stored: of all frames, `(N, C, h, w)`, as last computed, whose Gaussians those are
                coded under.
        """
        steps = self.log2_steps.exp2()
        parameters = list(network.decoder.parameters())
        bits = self._bits(parameters, steps[: len(parameters)])
        if embeddings is not None and stored is not None:
            channels = embeddings.float().unbind(1)
            batch_bits = self._bits(channels, steps[-len(channels) :], stored.unbind(1))
            bits = bits + batch_bits * (len(stored) / len(embeddings))
        if float(bits.detach()) <= self.num_bits:
            return None
        return bits * (_WEIGHT / self.num_bits)

    def learn(self, rate_factor: float) -> None:
        """Move the steps by their gradients.

        Args:
            rate_factor: of the learning rate, as a part of its peak.
        """
        if self.log2_steps.grad is None:
            return
        if self.is_settled:
            self.optimizer.zero_grad()
            return
        for group in self.optimizer.param_groups:
            group["lr"] = _OCTAVES * rate_factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._take_learned_steps()

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {
            **super().state(),
            "log2_steps": self.log2_steps.detach(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "num_bits": self.num_bits,
            "is_settled": self.is_settled,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        super().load_state(state)
        with torch.no_grad():
            self.log2_steps.copy_(state["log2_steps"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.num_bits = state["num_bits"]
        self.is_settled = state["is_settled"]

    def _take_learned_steps(self) -> None:
        """Take the nearest steps that the file can hold."""
        octaves = self.log2_steps.detach().cpu() - math.log2(self.global_step)
        codes = torch.round(8 * octaves).clamp(MIN_STEP_CODE, MAX_STEP_CODE)
        self.step_codes = codes.int().tolist()
        self.steps = [float(step_size(self.global_step, code)) for code in self.step_codes]

    def _coded_steps(self) -> Tensor:
        """Return the file's steps `(T,)`, with the gradients of the real ones."""
        steps = torch.tensor(self.steps, device=self.log2_steps.device)
        return steps * (self.log2_steps - self.log2_steps.detach()).exp2()

    def _bits(
        self, tensors: Sequence[Tensor], steps: Tensor, wholes: Sequence[Tensor] | None = None
    ) -> Tensor:
        return torch.stack(list(self._bits_of_each(tensors, steps, wholes or tensors))).sum()

    def _bits_of_each(
        self, tensors: Sequence[Tensor], steps: Tensor, wholes: Sequence[Tensor]
    ) -> Iterator[Tensor]:
        """Yield the bits of each tensor, with noise for the rounding.

        Under the Gaussian of itself, or of the whole that it is a part of.
        """
        for tensor, step, whole in zip(tensors, steps, wholes, strict=True):
            values, all_values = tensor / step, whole / step
            mean = all_values.mean()
            deviation = (all_values.var(correction=0) + _LEAST_DEVIATION**2).sqrt()
            noise = torch.rand(values.shape, generator=self.generator, device=values.device) - 0.5
            from_mean = values + noise - mean
            upper, lower = (
                torch.special.ndtr((from_mean + side) / deviation) for side in (0.5, -0.5)
            )
            yield -torch.log2(upper - lower + _LEAST_PROBABILITY).sum()


def _quantized(values: Tensor, step: Tensor) -> Tensor:
    """Quantise and dequantise; straight through the rounding, with gradients for the step."""
    units = values / step
    rounded = torch.clamp(torch.round(units), -MAX_SYMBOL, MAX_SYMBOL)
    return (units + (rounded - units).detach()) * step

"""Per-tensor uniform quantisation: a tensor's step is the global one times 2**(code / 8).

In: float32 weights and a step. Out: integer symbols, and the float32 weights that the decoder
has. Dequantisation is one IEEE float32 product a weight, the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

MAX_SYMBOL = 2047
"""Largest magnitude of a symbol, so that every alphabet fits in `entropy.MAX_ALPHABET`."""

MIN_GLOBAL_STEP, MAX_GLOBAL_STEP = 2.0**-60, 2.0**60  # of a file

MIN_STEP_CODE, MAX_STEP_CODE = -128, 127
"""Range of a tensor's step code: a signed byte."""

# float32 of 2**(i / 8), as literals so that no library's exp2 takes part in decoding.
_OCTAVE = (
    1.0,
    1.0905077457427979,
    1.1892070770263672,
    1.2968395948410034,
    1.4142135381698608,
    1.5422108173370361,
    1.6817928552627563,
    1.8340080976486206,
)


@dataclass(frozen=True)
class QuantizedTensors:
    """What the file holds of one segment's network: integers, and what scales them."""

    global_step: float  # a float32 value, > 0
    step_codes: list[int]  # one a tensor, -128 to 127
    symbols: list[NDArray[np.int32]]  # one flat array a tensor

    def weights(self) -> list[NDArray[np.float32]]:
        """Flat float32 weights, one array a tensor: what the decoder computes with."""
        return [
            dequantize(symbols, step_size(self.global_step, code))
            for symbols, code in zip(self.symbols, self.step_codes, strict=True)
        ]


def step_size(global_step: float, code: int) -> np.float32:
    """Return the float32 step `global_step * 2**(code / 8)` of a tensor.

    >>> float(step_size(0.5, -8))
    0.25
    """
    mantissa = np.float32(global_step) * np.float32(_OCTAVE[code % 8])
    return np.float32(np.ldexp(mantissa, code // 8))


def quantize(weights: NDArray[np.float32], step: np.float32) -> NDArray[np.int32]:
    """Round `weights / step` to the nearest integers, clipped to `+-MAX_SYMBOL`."""
    rounded: NDArray[np.float32] = np.rint(weights / step)
    return rounded.clip(-MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)


def dequantize(symbols: NDArray[np.int32], step: np.float32) -> NDArray[np.float32]:
    """Return the float32 weights `symbols * step`."""
    return symbols.astype(np.float32) * step


def soft_round(
    weights: torch.Tensor, step: float, *, hardness: float | torch.Tensor
) -> torch.Tensor:
    """Draw `weights` towards the multiples of `step`, with the gradient that this has.

    m + tanh(hardness r) / (2 tanh(hardness / 2)), in steps, where m is the middle between the two
    multiples around a weight, and r how far it is from there (Agustsson and Theis 2020, arXiv
    2006.09952, equation 5): the weights themselves at a hardness near 0, rounded ones in the limit.

    Args:
        weights: of any shape.
        step: > 0.
        hardness: > 0; a number, or a tensor of no dimensions.

    >>> soft_round(torch.tensor([0.5, 1.2, 1.9]), 1.0, hardness=8.0)
    tensor([0.5000, 1.0078, 1.9987])
    """
    units = weights / step
    middles = torch.floor(units) + 0.5
    hardness = torch.as_tensor(hardness, dtype=torch.float32, device=weights.device)
    bent = torch.tanh(hardness * (units - middles)) / (2 * torch.tanh(hardness / 2))
    soft: torch.Tensor = (middles + bent) * step
    return soft


def fake_quantize(weights: torch.Tensor, step: float | torch.Tensor) -> torch.Tensor:
    """Quantise and dequantise `weights`; the gradient passes straight through.

    The straight-through estimator (Bengio et al. 2013, arXiv 1308.3432) of quantisation-aware
    training; `weights` may have any shape, and `step` one that broadcasts to it.
    """
    rounded = torch.clamp(torch.round(weights / step), -MAX_SYMBOL, MAX_SYMBOL) * step
    return weights + (rounded - weights).detach()

"""Rounding a network's dense layers with feedback, by the second moments of what they take.

In: a network and frames to run it on. Out: its weights on the quantiser's steps (see
`quantization._feedback`). A layer's input x is a pixel's neighbourhood, as a convolution weighs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inrcodec.models import Network
from inrcodec.quantization import round_with_feedback

_PIXELS = 4096  # of a frame, evenly spread

Layer = nn.Conv2d | nn.Linear


class WeightRounding:
    """The weights of a network's dense layers, to be rounded as often as need be.

    Args:
        network: as fitted.
        runs: each computes frames by it, from which the inputs are known.
    """

    def __init__(self, network: Network, runs: Iterable[Callable[[], object]]) -> None:
        self.named = dict(network.decoder.named_parameters())
        self.moments = input_moments(network, dense_layers(network), runs)
        self.weights = {name: self.named[name].detach().clone() for name in self.moments}

    @torch.no_grad()
    def apply(self, steps: Sequence[float]) -> None:
        """Put the rounded weights in their place; of all the decoder's parameters the steps."""
        step_of = dict(zip(self.named, steps, strict=False))
        for name, weight in self.weights.items():
            rounded = round_with_feedback(weight.flatten(1), self.moments[name], step_of[name])
            self.named[name].copy_(rounded.view_as(weight))


def dense_layers(network: Network) -> dict[str, Layer]:
    """Return the decoder's linear layers, and its convolutions of stride 1 that are not grouped, by
    the names that their weights have among the decoder's parameters.
    """
    return {
        f"{name}.weight": module
        for name, module in network.decoder.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and _is_plain(module))
    }


@torch.no_grad()
def input_moments(
    network: Network, layers: dict[str, Layer], runs: Iterable[Callable[[], object]]
) -> dict[str, Tensor]:
    """Return the second moments `(n, n)` of the layers' inputs, by name.

    Args:
        network: whose decoder has the layers.
        layers: as `dense_layers` gives them.
        runs: each computes frames by the network.
    """
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def take(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].float()
            x = _columns(module, x) if isinstance(module, nn.Conv2d) else x.flatten(0, -2)
            gram = x.T @ x
            sums[name] = sums[name] + gram if name in sums else gram
            counts[name] += len(x)

        return take

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        for run in runs:
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / counts[name] for name, total in sums.items()}


def _is_plain(module: nn.Conv2d) -> bool:
    plain = module.stride == module.dilation == (1, 1)
    return plain and module.groups == 1 and module.padding_mode == "zeros"


def _columns(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Return what some pixels of (B, C, h, w) weigh, `(pixels, C * kernel)`."""
    rows, columns = layer.kernel_size
    assert not isinstance(layer.padding, str)  # our networks give numbers
    down, across = layer.padding
    x = F.pad(x, (across, across, down, down))
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    count = min(_PIXELS, height * width)
    some = torch.arange(count, device=x.device) * (height * width - 1) // max(1, count - 1)
    y, left = some // width, some % width
    taps = [x[:, :, y + i, left + j] for i in range(rows) for j in range(columns)]  # (B, C, pixels)
    return torch.stack(taps, 2).flatten(1, 2).transpose(1, 2).flatten(0, 1)

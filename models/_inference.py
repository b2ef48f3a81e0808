"""Networks made ready to decode: weights converted once, and nothing done twice to a large map.

In: a network with its weights. Out: the same network, changed in place, that computes the same
frames up to roundings; it can no longer be fitted, and its state dict has other names.

On a CPU with oneDNN a convolution applies the activation behind it, or adds to what is there, to
values that it still holds in registers. The operators for that are those that TorchInductor emits.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from ._blocks import (
    PixelShuffleHead,
    PixelShuffleUpsampler,
    StagedDecoder,
    upsample_bilinear,
)
from ._convolution import Convolution
from ._network import Network
from ._separable import SeparableResidual, SeparableStage

__all__ = ["halves", "prepare_for_inference"]

_FUSED_ACTIVATIONS = {nn.Identity: ("none", ""), nn.GELU: ("gelu", "none"), nn.SiLU: ("swish", "")}
"""What oneDNN calls them, with the algorithm."""

_SMALL_MAP = 8  # pixels of the frame a side of one of its cells


def prepare_for_inference(network: Network, dtype: torch.dtype) -> int:
    """Take the pixel shuffle off the decoder's end, and return its stride; see above.

    It stays, and the stride is 1, where the network reads frames from what the decoder draws.

    With stride s, `network.decode` gives (B, 3 * s * s, h, w) from then on, to be shuffled by the
    caller, who can do so when a value is a byte. Weights of convolutions and linear layers are
    converted to `dtype`; where that is not float32, it wants `torch.autocast` around it. Small
    maps stay float32 where convolutions are fused: they take little time, and a rounding there
    moves many pixels.
    """
    network.requires_grad_(False)
    stride = 1 if network.config.has_motion else _split_head(network.decoder)
    fuses = _fuses(network, dtype)
    small = _small_parts(network) if fuses else []
    kept = {module for part in small for module in part.modules()}
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module not in kept:
            module.to(dtype)
    if fuses:
        _fuse(network.decoder)
    return stride


def halves(network: Network) -> tuple[nn.Sequential, nn.Sequential] | None:
    """Return stem and stages of small maps, and the stages and head after them.

    The first half takes what the decoder takes, frame indices (B,) or the channels of the
    embeddings that it draws from, and is faster for many frames at once: its maps have few cells,
    and its weights are most. `network.place` is left to be done. None for networks that cannot be
    cut like that.
    """
    decoder = network.decoder
    if type(network).decode is not Network.decode or type(decoder) is not StagedDecoder:
        return None
    num_small = _num_small_stages(network)
    if num_small in (None, 0, len(decoder.stages)):
        return None
    first, rest = decoder.stages[:num_small], decoder.stages[num_small:]
    return nn.Sequential(decoder.stem, *first), nn.Sequential(*rest, decoder.head)


def _split_head(decoder: nn.Module) -> int:
    head = getattr(decoder, "head", None)
    if not isinstance(head, PixelShuffleHead):
        return 1
    convolution, shuffle = head
    decoder.head = convolution
    return int(shuffle.upscale_factor)  # type: ignore[arg-type]  # an int of PixelShuffle


def _fuses(network: nn.Module, dtype: torch.dtype) -> bool:
    """Tell whether oneDNN's operators are there for the network's device and this dtype."""
    if any(p.device.type != "cpu" for p in network.parameters()):
        return False
    ops = torch.ops.mkldnn
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and hasattr(ops, "_convolution_pointwise_")):
        return False
    if dtype == torch.bfloat16:
        return bool(ops._is_mkldnn_bf16_supported())
    return dtype == torch.float32


def _small_parts(network: Network) -> list[nn.Module]:
    """Return the stem, and the stages of small maps."""
    num_small = _num_small_stages(network)
    if num_small is None:
        return []
    decoder = network.decoder
    assert isinstance(decoder, StagedDecoder)  # it has been looked at
    return [decoder.stem, *decoder.stages[:num_small]]


def _num_small_stages(network: Network) -> int | None:
    """How many stages have cells of `_SMALL_MAP` pixels a side or more; None if that is unclear."""
    decoder, strides = network.decoder, network.config.strides
    if not isinstance(decoder, StagedDecoder) or len(decoder.stages) != len(strides):
        return None
    pixels, count = network.config.upsampling, 0
    for stride in strides:
        pixels //= stride
        count += pixels >= _SMALL_MAP
    return count


def _fuse(module: nn.Module) -> None:
    """Replace the blocks and convolutions inside a module."""
    for name, child in module.named_children():
        if isinstance(child, SeparableStage):
            setattr(module, name, _FusedStage(child))
        elif _is_fusable(child):
            setattr(module, name, _FusedUpsampler(child))
        elif _is_plain(child):
            setattr(module, name, _FusedConv(child))
        else:
            _fuse(child)


def _is_plain(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Tell whether a layer is a convolution as oneDNN has it, padded with zeros on both sides."""
    return (
        type(module) in (nn.Conv2d, Convolution)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def _is_fusable(module: nn.Module) -> bool:
    return isinstance(module, PixelShuffleUpsampler) and type(module[2]) in _FUSED_ACTIVATIONS


class _FusedConv(nn.Module):
    """A convolution and the activation, or the sum, behind it."""

    def __init__(self, layer: nn.Conv2d, activation: type[nn.Module] = nn.Identity) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.options = (layer.padding, layer.stride, layer.dilation, layer.groups)
        self.activation = _FUSED_ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        name, algorithm = self.activation
        x = x.to(self.weight.dtype)
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self.options, name, [], algorithm
        )
        return y

    def add_to(self, y: Tensor, x: Tensor) -> Tensor:
        """Return y plus the convolution of x; y is overwritten."""
        y_next: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            y, x, self.weight, self.bias, *self.options, "add", 1.0, None, [], None
        )
        return y_next


class _FusedUpsampler(nn.Module):
    """`PixelShuffleUpsampler` with the activation before the shuffle.

    The convolution gives its channels in the order (row, column, channel), so that in a
    channels-last map the shuffle moves whole rows of `stride` pixels.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        convolution, shuffle, activation = block
        self.stride = shuffle.upscale_factor
        self.conv = _FusedConv(convolution, type(activation))
        for parameter in (convolution.weight, convolution.bias):
            split = parameter.data.unflatten(0, (-1, self.stride**2))
            parameter.data = split.transpose(0, 1).flatten(0, 1).clone()
        convolution.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).permute(0, 2, 3, 1)  # (B, h, w, s * s * C)
        batch, rows, columns, _ = x.shape
        x = x.reshape(batch, rows, columns, self.stride, -1).transpose(2, 3)
        x = x.reshape(batch, rows * self.stride, columns * self.stride, -1)
        return x.permute(0, 3, 1, 2)


class _FusedStage(nn.Module):
    """`SeparableStage`; the upsampled map is allocated once, and added to in place."""

    def __init__(self, stage: SeparableStage) -> None:
        super().__init__()
        self.stride = stage.stride
        self.before, self.after = _FusedResidual.of(stage.before), _FusedResidual.of(stage.after)
        fusable = _is_fusable(stage.upsampler)
        self.upsampler = _FusedUpsampler(stage.upsampler) if fusable else stage.upsampler
        self.skip = _FusedConv(stage.skip)
        if not fusable:
            _fuse(self.upsampler)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.skip.weight.dtype)
        skip = self.skip(x)
        if self.before is not None:
            x = self.before(x, x.clone(memory_format=torch.preserve_format))
        y: Tensor = self.upsampler(x)
        base = upsample_bilinear(skip, self.stride).add_(y)
        return base if self.after is None else self.after(y, base)


class _FusedResidual(nn.Module):
    """`SeparableResidual`, its pointwise convolution added to a map of the caller."""

    def __init__(self, block: SeparableResidual) -> None:
        super().__init__()
        activation = nn.GELU if block.gate is None else nn.Identity
        self.depthwise = _FusedConv(block.depthwise, activation)
        self.gate = None if block.gate is None else _FusedConv(block.gate)
        self.pointwise = _FusedConv(block.pointwise)

    @classmethod
    def of(cls, block: nn.Module) -> _FusedResidual | None:
        return cls(block) if isinstance(block, SeparableResidual) else None

    def forward(self, x: Tensor, base: Tensor) -> Tensor:
        y = self.depthwise(x)
        if self.gate is not None:
            y = y.mul_(self.gate(x))
        return self.pointwise.add_to(base, y)

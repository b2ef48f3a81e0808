"""Words for the layers and functions that networks are made of, as papers' figures use them.

`conv 3x3, 64` is a convolution to 64 channels; `bilinear x2` doubles height and width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

__all__ = ["class_label", "has_children", "is_container", "is_layer", "layer_label", "op_label"]

_LAYERS = (_ConvNd, nn.Linear, nn.PixelShuffle, nn.Upsample, nn.MultiheadAttention)
_CONTAINERS = (nn.ModuleList, nn.ModuleDict)
_SILENT = (nn.Identity, nn.Dropout)
_OPS = {
    "avg_pool2d": "average pool",
    "bmm": "matmul",
    "cat": "concat",
    "clamp": "clamp",
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "cos": "cos",
    "einsum": "einsum",
    "elu": "ELU",
    "embedding": "lookup",
    "gelu": "GELU",
    "grid_sample": "grid sample",
    "group_norm": "group norm",
    "instance_norm": "instance norm",
    "layer_norm": "layer norm",
    "leaky_relu": "LeakyReLU",
    "lerp": "lerp",
    "linear": "linear",
    "matmul": "matmul",
    "normalize": "normalize",
    "relu": "ReLU",
    "scaled_dot_product_attention": "attention",
    "sigmoid": "sigmoid",
    "silu": "SiLU",
    "sin": "sin",
    "softmax": "softmax",
    "softplus": "softplus",
    "stack": "stack",
    "tanh": "tanh",
}
_OF_TWO = {
    "add": "add",
    "iadd": "add",
    "radd": "add",
    "sub": "subtract",
    "mul": "multiply",
    "imul": "multiply",
    "rmul": "multiply",
}


def has_children(module: nn.Module) -> bool:
    """Whether a module has others inside."""
    return next(module.children(), None) is not None


def is_container(module: nn.Module) -> bool:
    """Whether a module only holds others and is never called itself."""
    return isinstance(module, _CONTAINERS)


def is_layer(module: nn.Module) -> bool:
    """Whether a module is one layer of torch, and what it calls itself is known."""
    if isinstance(module, _LAYERS):
        return True
    holds_others = isinstance(module, (*_CONTAINERS, nn.Sequential))
    return type(module).__module__.startswith("torch.nn.") and not holds_others


def layer_label(module: nn.Module, width: int | None) -> str:
    """Return the words for a layer; "" for one that does nothing.

    `width` is the number of values that a layer of no known kind puts out, if that is worth a word.
    """
    if isinstance(module, _SILENT):
        return ""
    if isinstance(module, _ConvNd):
        return _conv_label(module)
    if isinstance(module, nn.Linear):
        return f"linear, {module.out_features}"
    if isinstance(module, nn.PixelShuffle):
        return f"PixelShuffle {module.upscale_factor}"
    if isinstance(module, nn.Upsample):
        return f"{module.mode} x{module.scale_factor:g}"
    name = class_label(module)
    return name if width is None else f"{name}, {width}"


def class_label(module: nn.Module) -> str:
    """Return the name of a module's class, without the mark of what is private."""
    return type(module).__name__.lstrip("_")


def op_label(
    func: Any, inputs: Sequence[Tensor], output: Tensor, settings: Mapping[str, Any]
) -> str:
    """Return the words for a function of torch; "" for those that only move values about."""
    name = getattr(func, "__name__", "").strip("_")
    if name == "interpolate":
        scale = output.shape[-1] / inputs[0].shape[-1]
        return f"{settings.get('mode', 'nearest')} x{scale:g}"
    if name == "pixel_shuffle":
        return f"PixelShuffle {output.shape[-1] // inputs[0].shape[-1]}"
    if name in _OF_TWO:
        # Constants and scales of single channels are no steps of a figure.
        return _OF_TWO[name] if sum(tensor.ndim > 1 for tensor in inputs) > 1 else ""
    return _OPS.get(name, "")


def _conv_label(module: _ConvNd) -> str:
    size = "x".join(str(side) for side in module.kernel_size)
    kind = "transposed conv" if isinstance(module, _ConvTransposeNd) else "conv"
    if 1 < module.groups == module.in_channels:
        kind = "depthwise"
    elif module.groups > 1:
        kind = f"conv in {module.groups} groups"
    stride = max(module.stride)
    return f"{kind} {size}{f' /{stride}' if stride > 1 else ''}, {module.out_channels}"
